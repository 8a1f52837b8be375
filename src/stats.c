/*
 * stats.c
 *		What this backend has counted, for the DBA: tenancy.stats.
 *
 * Counts only, of this backend only: no id, no name.  Even so they tell when
 * something changed that the current user cannot see, so they are not for
 * everybody; the rights are in 90_privileges.sql.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"

#include "access.h"
#include "compat.h"
#include "identity.h"

PG_FUNCTION_INFO_V1(tenancy_stats);

/*
 * tenancy_stats -- the counters, one row.
 *
 * tenancy._stats() → record, behind the view tenancy.stats.
 */
Datum
tenancy_stats(PG_FUNCTION_ARGS)
{
	AccessCounters access = AccessCount();
	IdentityCounters identity = IdentityCount();
	const uint64 counts[] = {
		access.lookups, access.loads, access.failedLoads, access.snapshotLoads,
		access.messages, access.resets, access.stale, access.evictions,
		access.sets, access.bytes,
		identity.signIns, identity.signInFailures, identity.acts
	};
	TupleDesc	desc;
	Datum		values[lengthof(counts)];
	bool		nulls[lengthof(counts)] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != lengthof(counts))
		elog(ERROR, "return type must be a row of %d columns", (int) lengthof(counts));
	for (int i = 0; i < lengthof(counts); i++)
		values[i] = Int64GetDatum((int64) counts[i]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
