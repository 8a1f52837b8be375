/*
 * estimate.h
 *		How much of a table whoever is acting can reach, as statistics tell.
 */
#ifndef TENANCY_ESTIMATE_H
#define TENANCY_ESTIMATE_H

#include "nodes/pathnodes.h"

#include "access.h"

/*
 * The part of a table's rows, from 0 to 1, whose column names a target of that
 * kind that is reached at that level or above.
 */
extern double EstimateReached(PlannerInfo *root, Node *column, int varRelid,
							  TargetKind kind, AccessLevel minimum);

/*
 * The id, or array of ids, that the query itself asks a column of a table to be
 * equal to; NULL if it does not, or if that is another column's value.
 */
extern Node *EstimateNamed(PlannerInfo *root, const Node *column);

#endif							/* TENANCY_ESTIMATE_H */
