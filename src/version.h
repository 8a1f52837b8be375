/*
 * version.h
 *		Does the library fit the SQL objects, and the server?
 */
#ifndef TENANCY_VERSION_H
#define TENANCY_VERSION_H

extern void VersionInit(void);
extern void VersionCheck(void);

#endif							/* TENANCY_VERSION_H */
