/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Elastic tabs, as Go's text/tabwriter aligns what kubectl describes. Pure. */
#ifndef PODIUM_CLI_TABS_H
#define PODIUM_CLI_TABS_H

#include <stddef.h>

#include "podium/base/strbuf.h"

/* Lines of cells that end with a tab each; a column is as wide as its widest cell in consecutive lines that have it,
 * plus padding. The text behind the last tab of a line is not padded. Appends the aligned text. */
void tabs_align(const char *text, size_t padding, struct strbuf *out);

#endif
