/*
 * stop.h
 *		Waiting that a signal to stop interrupts.
 */
#ifndef MAILER_STOP_H
#define MAILER_STOP_H

#include <stdbool.h>

extern void StopInstall(void);
extern bool StopRequested(void);
extern void StopAwait(int descriptor, int milliseconds);

#endif
