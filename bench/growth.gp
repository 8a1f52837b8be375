# growth.gp: cost of each point query, as a multiple of the first.  Wants files,
# titles and output; Growth.pm says them.
set terminal svg size 640, 560 font 'sans-serif,13' background 'white'
set output output
set title 'Cost of point queries by number of organizations (1 = cost at the first size)'
set datafile separator "\t"
set border 3
set xtics nomirror
set ytics nomirror
set grid ytics linecolor '#dddddd'
set logscale x
set format x '%.0s%c'
set xlabel 'organizations' offset 0, 0.5
set yrange [0:*]
set key outside bottom center Left reverse maxcols 1 samplen 2
plot for [i = 1 : words(files)] word(files, i) using 1:3 with linespoints linewidth 2 pointtype 7 title word(titles, i)
