/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An intrusive doubly linked ring. The head is a `struct list` of its own; an element not in a list points to itself.
 */
#ifndef PODIUM_BASE_LIST_H
#define PODIUM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/cleanup.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l) {
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l) {
    return l->next == l;
}

/* Puts e behind the element (or head) at. */
static inline void list_add_after(struct list *at, struct list *e) {
    e->prev = at;
    e->next = at->next;
    at->next->prev = e;
    at->next = e;
}

static inline void list_append(struct list *head, struct list *e) {
    list_add_after(head->prev, e);
}

static inline void list_remove(struct list *e) {
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

#define list_entry(l, type, member) container_of(l, type, member)
/* e: a variable of type *. Safe against removal of the current element. */
#define list_foreach(e, head, member)                                                                                  \
    for (struct list *e##_at = (head)->next, *e##_next = e##_at->next;                                                 \
         e##_at != (head) && ((e) = list_entry(e##_at, __typeof__(*(e)), member), true);                               \
         e##_at = e##_next, e##_next = e##_at->next)

#endif
