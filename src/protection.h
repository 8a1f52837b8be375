/*
 * protection.h
 *		The mark of a protected table.
 */
#ifndef TENANCY_PROTECTION_H
#define TENANCY_PROTECTION_H

/* The policy that makes a table a protected one; see sql/70_protection.sql. */
#define PROTECTION_FLOOR	"tenancy_floor"

#endif							/* TENANCY_PROTECTION_H */
