# bars.gp: one bar for each contender.  Wants data, output, title, unit,
# logarithmic, least, most and bars; Report.pm says them.
set terminal svg size 640, 360 font 'sans-serif,13' background 'white'
set output output
set title title noenhanced
set ylabel unit
set datafile separator "\t"
set style fill solid
set boxwidth 0.7
set border 3
set xtics nomirror scale 0
set ytics nomirror
set grid ytics linecolor '#dddddd'
set xrange [-0.6 : bars - 0.4]
unset key
if (logarithmic) {
	set logscale y
	set yrange [least / 3 : most * 3]
} else {
	set yrange [0 : most * 1.15]
}
plot data using 1:2:5:xtic(3) with boxes linecolor rgb variable, \
	data using 1:2:4 with labels offset 0, 0.7
