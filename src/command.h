/*
 * command.h
 *		Which command is running.
 */
#ifndef TENANCY_COMMAND_H
#define TENANCY_COMMAND_H

extern void CommandInit(void);

/* The one that the user called, NULL if none. */
extern const char *CommandName(void);

#endif							/* TENANCY_COMMAND_H */
