/*
 * caller.h
 *		Whose rights the triggers of an application's tables have.
 */
#ifndef TENANCY_CALLER_H
#define TENANCY_CALLER_H

extern void CallerInit(void);
extern Oid	CallerEnter(void);
extern void CallerLeave(Oid outer);

#endif							/* TENANCY_CALLER_H */
