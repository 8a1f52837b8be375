/*
 * settings.c
 *		Settings that commands read: invites, plans, mail.
 *
 * Those that say who is acting are in identity.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "settings.h"

static char *inviteLifetime = NULL;
static char *defaultPlan = NULL;
static bool emailEnabled = false;
static int	notificationTimeout = 300;
static int	notificationAttempts = 8;

PG_FUNCTION_INFO_V1(tenancy_setting);

void
SettingsInit(void)
{
	DefineCustomStringVariable("tenancy.invite_lifetime",
							   "How long an invite can be accepted.",
							   NULL,
							   &inviteLifetime, "3 days",
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tenancy.default_plan",
							   "The plan of new organizations.",
							   NULL,
							   &defaultPlan, "enterprise",
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("tenancy.email_enabled",
							 "Whether invites and joins enqueue mail.",
							 NULL,
							 &emailEnabled, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tenancy.notification_timeout",
							"How long a mailer may keep what it claimed.",
							"What it has neither completed nor failed by then is due again.",
							&notificationTimeout, 300, 1, 86400,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("tenancy.notification_attempts",
							"How often sending a mail is tried before it is given up.",
							NULL,
							&notificationAttempts, 8, 1, 100,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * tenancy_setting -- a setting of ours as the library has it.
 *
 * tenancy._setting(name text) → text; seconds for a time.  current_setting()
 * would answer with a placeholder that anybody made before the library was
 * loaded.
 */
Datum
tenancy_setting(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *value;

	if (strcmp(name, "tenancy.invite_lifetime") == 0)
		value = inviteLifetime;
	else if (strcmp(name, "tenancy.default_plan") == 0)
		value = defaultPlan;
	else if (strcmp(name, "tenancy.email_enabled") == 0)
		value = emailEnabled ? "on" : "off";
	else if (strcmp(name, "tenancy.notification_timeout") == 0)
		value = psprintf("%d", notificationTimeout);
	else if (strcmp(name, "tenancy.notification_attempts") == 0)
		value = psprintf("%d", notificationAttempts);
	else
		elog(ERROR, "unrecognized setting \"%s\"", name);
	PG_RETURN_TEXT_P(cstring_to_text(value));
}
