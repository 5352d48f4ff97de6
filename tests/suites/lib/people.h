/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * people.h - a population of processes of every kind that the OOM killer tells apart, which then
 * keep still. They are forked: start them only while memory is plenty.
 */
#ifndef SUITE_PEOPLE_H
#define SUITE_PEOPLE_H

#include <sys/types.h>

#define PEOPLE_MAX 256

enum people_kind {
	PEOPLE_PRIVATE,	    /* private memory */
	PEOPLE_SHARED,	    /* shared anonymous memory */
	PEOPLE_MEMFD,	    /* the same through a file descriptor */
	PEOPLE_FILE,	    /* a real file, mapped */
	PEOPLE_SWAPPED,	    /* private memory, most of it swapped out */
	PEOPLE_THREADS,	    /* several threads with memory of theirs */
	PEOPLE_LEADER_GONE, /* the first thread has ended, another lives on */
	PEOPLE_VFORK,	    /* has a vfork child (second) and is blocked in vfork() */
	PEOPLE_SHARER,	    /* shares its address space with another process (second) */
	PEOPLE_ZOMBIE,	    /* has ended, is not waited for */
	PEOPLE_FORKED,	    /* shares pages with its child (second), copy on write */
	PEOPLE_HUGE,	    /* huge pages */
	PEOPLE_HOPPER,	    /* touched a few pages on each CPU, and dropped some on another */
	PEOPLE_NEGATIVE,    /* touched pages on all CPUs but one, and freed them on that one */
	PEOPLE_REAPED,	    /* an OOM victim whose memory was reaped and that has not ended */
	_PEOPLE_KINDS,
};

struct person {
	enum people_kind kind;
	int adj; /* oom_score_adj */
	unsigned int pages;
	pid_t pid;
	pid_t second; /* 0: none */
	unsigned int state;
	unsigned int go;
};

/* Once, before the first people_start(). Needs swap space (swap.h). */
void people_open(void);

/* Starts n of them, every kind in turn, sizes at random; they all are ready when it returns. */
void people_start(unsigned int n);
const struct person *people_list(unsigned int *ret_n);
const char *people_kind_name(enum people_kind kind);

/* Ends them all, and waits until they are gone. */
void people_end(void);

#endif
