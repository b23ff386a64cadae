/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a static analyzer, which sees one file at a time, cannot know: the error functions return the negative code
 * they were given. `make tidy` puts this in front of every file.
 */
#ifndef PODIUM_TESTS_LINT_ANALYZER_H
#define PODIUM_TESTS_LINT_ANALYZER_H

#include "podium/base/error.h"

#define ANALYZER_NEGATIVE(call)                                                                                        \
    ({                                                                                                                 \
        int analyzer_code = (call);                                                                                    \
        if (analyzer_code >= 0)                                                                                        \
            __builtin_unreachable();                                                                                   \
        analyzer_code;                                                                                                 \
    })
#define error_set(...)       ANALYZER_NEGATIVE(error_set(__VA_ARGS__))
#define error_set_errno(...) ANALYZER_NEGATIVE(error_set_errno(__VA_ARGS__))
#define error_prefix(...)    ANALYZER_NEGATIVE(error_prefix(__VA_ARGS__))

#endif
