/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every row of tables/validation.tsv against a real server: rows_suite.h says how. An argument names the types to run
 * ("core.v1.Pod*"). */
#include "tests/unit/apiserver/rows_suite.h"

#define CASES "tests/unit/apiserver/cases"
#define BASES CASES "/bases.yaml"

int main(int argc, char **argv) {
    struct rows_suite suite = {0};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    fixture_new(&suite.world.fixture, false, 0);
    fixture_start(&suite.world.fixture);
    rows_suite_load(&suite, "orchestrator/object/tables/validation.tsv", false, CASES, BASES);
    rows_suite_objects(&suite, BASES);
    int rc = rows_suite_run(&suite, "validation rows");
    rows_suite_finish(&suite);
    fixture_finish(&suite.world.fixture);
    return rc;
}
