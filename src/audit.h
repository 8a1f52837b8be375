/*
 * audit.h
 *		Who did what to the extension's own tables.
 */
#ifndef TENANCY_AUDIT_H
#define TENANCY_AUDIT_H

extern void AuditInit(void);

#endif							/* TENANCY_AUDIT_H */
