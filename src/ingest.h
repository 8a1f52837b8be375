/*
 * ingest.h
 *		Rows in bulk through a view.
 */
#ifndef TENANCY_INGEST_H
#define TENANCY_INGEST_H

extern void IngestInit(void);

#endif							/* TENANCY_INGEST_H */
