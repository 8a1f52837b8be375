/*
 * settings.h
 *		Settings that commands read; SQL asks tenancy._setting().
 */
#ifndef TENANCY_SETTINGS_H
#define TENANCY_SETTINGS_H

extern void SettingsInit(void);

#endif							/* TENANCY_SETTINGS_H */
