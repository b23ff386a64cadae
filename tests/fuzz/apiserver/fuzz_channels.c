/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of WebSockets, whose first byte or digit names a channel. */
#include <stdint.h>
#include <stdlib.h>

#include "orchestrator/apiserver/streams/sessions.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    for (int text = 0; text < 2; text++) {
        unsigned channel;
        uint8_t *bytes;
        size_t n;
        if (channel_message_parse(text, input, size, &channel, &bytes, &n) && (n > size || channel > 255))
            abort();
        free(bytes);
    }
    return 0;
}
