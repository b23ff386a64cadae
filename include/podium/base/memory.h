/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that a process at rest does not need.
 *
 * A daemon that starts, or has been busy, leaves two things behind: freed blocks between blocks in use, and the pages
 * of programs and libraries it went through once (relocation, parsers, handshakes), which stay mapped for as long as
 * nobody presses for memory. A daemon that knows it comes to rest gives both back; what it needs again comes from the
 * page cache, sixteen pages at a time, without reading a disk.
 */
#ifndef PODIUM_BASE_MEMORY_H
#define PODIUM_BASE_MEMORY_H

/* Takes a millisecond or less. Nothing that was ever written is touched. Mapped pages stay while a debugger is
 * attached, as its breakpoints are in them. Of any thread; others may go on. */
void memory_give_back(void);

/* The first half alone: free blocks of whatever allocator the program is linked with (jemalloc(3) "arena.<i>.purge",
 * else malloc_trim(3)) go back to the kernel. For who has just freed much. Of any thread. */
void memory_trim(void);

#endif
