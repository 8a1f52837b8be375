/*
 * question.c
 *		Questions about others: who asks?
 *
 * The answers are written in SQL and need the rights of the extension, inside
 * of which nobody can tell any more on whose behalf they run.  So each question
 * comes in here, as its caller, and is passed on to the function of the same
 * name with an underscore before it, with one more argument: whether a
 * database administrator asks.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "access.h"
#include "compat.h"
#include "identity.h"
#include "privileged.h"

#define MAX_ARGUMENTS	4

/* The prepared query behind a question. */
typedef struct Question
{
	Oid			function;		/* must be first */
	bool		writes;			/* needs to change things, and to undo that */
	int			nargs;
	Oid			types[MAX_ARGUMENTS + 1];
	Oid			owner;
	char		query[NAMEDATALEN + 64];
	SPIPlanPtr	plan;
} Question;

static HTAB *questions = NULL;

PG_FUNCTION_INFO_V1(tenancy_question);

/* Fill in what does not change from call to call. */
static void
describe(Question *question)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(question->function));
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", question->function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (form->pronargs > MAX_ARGUMENTS)
		elog(ERROR, "a question has too many arguments");
	question->writes = form->provolatile == PROVOLATILE_VOLATILE;
	question->owner = form->proowner;
	question->nargs = form->pronargs;
	snprintf(question->query, sizeof(question->query), "SELECT * FROM tenancy._%s(", NameStr(form->proname));
	for (int i = 0; i < question->nargs; i++)
	{
		question->types[i] = form->proargtypes.values[i];
		snprintf(question->query + strlen(question->query),
				 sizeof(question->query) - strlen(question->query), "$%d, ", i + 1);
	}
	question->types[question->nargs] = BOOLOID;
	snprintf(question->query + strlen(question->query),
			 sizeof(question->query) - strlen(question->query), "$%d)", question->nargs + 1);
	question->plan = NULL;
	ReleaseSysCache(tuple);
}

static Question *
findQuestion(Oid function)
{
	Question   *question;

	if (questions == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(Question);
		questions = hash_create("tenancy questions", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	question = hash_search(questions, &function, HASH_FIND, NULL);
	if (question == NULL)
	{
		Question	fresh = {.function = function};

		describe(&fresh);
		question = hash_search(questions, &function, HASH_ENTER, NULL);
		*question = fresh;
	}
	return question;
}

/*
 * tenancy_question -- answer a question about others.
 *
 * Behind every function of that kind.  An administrator is whoever has the
 * rights of the extension's owner, while they do not act as somebody.
 */
Datum
tenancy_question(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Question   *question = findQuestion(fcinfo->flinfo->fn_oid);
	Datum		arguments[MAX_ARGUMENTS + 1];
	char		nulls[MAX_ARGUMENTS + 1];
	MemoryContext context;
	PrivilegedState state;
	Identity	who;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < question->nargs; i++)
	{
		arguments[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
	}
	IdentityRead(&who);
	arguments[question->nargs] = BoolGetDatum(who.kind == IDENTITY_ROLE &&
											  has_privs_of_role(GetUserId(), question->owner) &&
											  !AccessIsBound(AccessCurrent(&who)));
	nulls[question->nargs] = ' ';

	context = CurrentMemoryContext;
	PrivilegedBegin(&state);
	PrivilegedExecute(&question->plan, question->query, question->nargs + 1,
					  question->types, arguments, nulls, !question->writes);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	PrivilegedEnd(&state);
	MemoryContextSwitchTo(context);
	return (Datum) 0;
}
