/*
 * commit.h
 *		The moment in which a commit can be seen and its messages are not sent.
 */
#ifndef TENANCY_COMMIT_H
#define TENANCY_COMMIT_H

extern void CommitInit(void);
extern void CommitWillAnnounce(uint32 key);
extern void CommitWillAnnounceAll(void);
extern bool CommitsAreAnnounced(const uint32 *keys, int nkeys);

#endif							/* TENANCY_COMMIT_H */
