/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/tokens.h"

#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/base/random.h"

#define LIFE_MAX_USEC   (24ull * 3600 * USEC_PER_SEC) /* renewed after a day whatever the token says */
#define JITTER_USEC     (10 * USEC_PER_SEC)           /* nodes do not all come at once */
#define RETRY_USEC      (10 * USEC_PER_SEC)           /* after a renewal that failed */
#define ANSWER_MAX_USEC (20 * USEC_PER_SEC)           /* for an answer that got lost */
#define PERCENT_OF_LIFE 80

struct pod_token {
    char *audience;
    int64_t seconds;
    char *text;        /* NULL: none yet */
    char *error;       /* why it was refused; NULL: it was not */
    uint64_t asked_at; /* monotonic; 0: no answer is to come */
    uint64_t renew_at; /* monotonic */
    uint64_t from, to; /* real time: when it came, and when it is to be renewed by its date */
};

struct pod_tokens {
    struct pod_token *items;
    size_t n, cap;
};

static struct pod_token *find(const struct pod_tokens *tokens, const char *audience, int64_t seconds) {
    for (size_t i = 0; tokens && i < tokens->n; i++)
        if (tokens->items[i].seconds == seconds && strcmp(tokens->items[i].audience, audience) == 0)
            return &tokens->items[i];
    return NULL;
}

static void forget_text(char **text) {
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(steal(text));
}

void tokens_free(struct pod_tokens *tokens) {
    if (!tokens)
        return;
    for (size_t i = 0; i < tokens->n; i++) {
        forget_text(&tokens->items[i].text);
        free(tokens->items[i].audience);
        free(tokens->items[i].error);
    }
    free(tokens->items);
    free(tokens);
}

enum token_state tokens_get(const struct pod_tokens *tokens, const char *audience, int64_t seconds,
                            const char **ret_text) {
    const struct pod_token *t = find(tokens, audience, seconds);

    *ret_text = t ? (t->text ? t->text : t->error) : NULL;
    return !t            ? TOKEN_NONE
           : t->text     ? TOKEN_THERE
           : t->asked_at ? TOKEN_WAITING
           : t->error    ? TOKEN_REFUSED
                         : TOKEN_NONE;
}

/* --- asking --- */

static bool ask(struct agent_pod *pod, struct pod_token *t) {
    const struct agent *agent = pod->agent;

    if (!agent->callbacks || !agent->callbacks->request_token ||
        agent->callbacks->request_token(agent->userdata, pod->namespace, pod->name, pod->uid, t->audience, t->seconds) <
            0)
        return false;
    t->asked_at = now_monotonic_usec();
    return true;
}

static void want(struct agent_pod *pod, const char *audience, int64_t seconds) {
    struct pod_token *t = find(pod->tokens, audience, seconds);

    if (!t) {
        if (!pod->tokens)
            pod->tokens = xnew0(struct pod_tokens);
        xgrow(&pod->tokens->items, pod->tokens->n, &pod->tokens->cap);
        t = &pod->tokens->items[pod->tokens->n++];
        *t = (struct pod_token){.audience = xstrdup(audience), .seconds = seconds};
    }
    uint64_t now = now_monotonic_usec();
    bool lost = t->asked_at > 0 && now >= t->asked_at + ANSWER_MAX_USEC;
    bool due = t->text ? now >= t->renew_at : !t->error;
    if (due && (t->asked_at == 0 || lost) && !ask(pod, t) && t->text)
        t->renew_at = now + RETRY_USEC; /* nobody there: the next connection asks at once */
}

void tokens_request(struct agent_pod *pod) {
    const struct json *volumes = json_path(pod->desired, "spec", "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *sources = json_path(json_at(volumes, i), "projected", "sources");
        for (size_t k = 0; k < json_len(sources); k++) {
            const struct json *source = json_get(json_at(sources, k), "serviceAccountToken");
            if (source)
                want(pod, json_str_or(json_get(source, "audience"), ""),
                     json_int_or(json_get(source, "expirationSeconds"), TOKEN_SECONDS_DEFAULT));
        }
    }
    pod->tokens_at = 0;
    for (size_t i = 0; pod->tokens && i < pod->tokens->n; i++) {
        const struct pod_token *t = &pod->tokens->items[i];
        uint64_t at = t->asked_at ? t->asked_at + ANSWER_MAX_USEC : t->text ? t->renew_at : 0;
        if (at > 0 && (pod->tokens_at == 0 || at < pod->tokens_at))
            pod->tokens_at = at;
    }
}

bool tokens_awaited(const struct agent_pod *pod) {
    for (size_t i = 0; pod->tokens && i < pod->tokens->n; i++)
        if (!pod->tokens->items[i].text && pod->tokens->items[i].asked_at > 0)
            return true;
    return false;
}

void tokens_retry(struct agent_pod *pod) {
    for (size_t i = 0; pod->tokens && i < pod->tokens->n; i++)
        free(steal(&pod->tokens->items[i].error));
}

void tokens_connection_changed(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        struct agent_pod *pod = it.value;
        for (size_t i = 0; pod->tokens && i < pod->tokens->n; i++)
            pod->tokens->items[i].asked_at = 0;
    }
}

void tokens_clock_changed(struct agent *agent) {
    uint64_t now = now_realtime_usec();
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        struct agent_pod *pod = it.value;
        for (size_t i = 0; pod->tokens && i < pod->tokens->n; i++) {
            struct pod_token *t = &pod->tokens->items[i];
            if (t->text && (now < t->from || now >= t->to))
                t->renew_at = 0;
        }
        if (pod->tokens)
            agent_pod_mark(pod);
    }
}

/* --- answers --- */

/* How long it is used: 80 % of its life from now, a day at most. */
static uint64_t use_of(const char *expires, int64_t seconds, uint64_t now) {
    uint64_t end = 0, life = seconds > 0 ? (uint64_t) seconds * USEC_PER_SEC : 0;

    if (expires && timestamp_parse(expires, &end) == 0 && end > now && end - now < life)
        life = end - now;
    life = life / 100 * PERCENT_OF_LIFE;
    if (life > LIFE_MAX_USEC)
        life = LIFE_MAX_USEC;
    uint64_t jitter = life > 10 * JITTER_USEC ? random_u64() % JITTER_USEC : 0;
    return life - jitter;
}

static void take_token(struct agent_pod *pod, struct pod_token *t, const char *token, const char *expires) {
    forget_text(&t->text);
    free(steal(&t->error));
    t->text = xstrdup(token);
    t->from = now_realtime_usec();
    t->to = t->from + use_of(expires, t->seconds, t->from);
    t->renew_at = now_monotonic_usec() + (t->to - t->from);
    agent_pod_refresh_volumes(pod);
}

void agent_token_answer(struct agent *agent, const char *uid, const char *audience, int64_t seconds, const char *token,
                        const char *expires, const char *error) {
    struct agent_pod *pod = hashmap_get(agent->pods, uid);
    struct pod_token *t = pod ? find(pod->tokens, audience, seconds) : NULL;

    if (!t || !pod->desired)
        return;
    t->asked_at = 0;
    if (token) {
        take_token(pod, t, token, expires);
    } else if (t->text) {
        log_warning("pod %s/%s: a token cannot be renewed: %s", pod->namespace, pod->name, error);
        t->renew_at = now_monotonic_usec() + RETRY_USEC;
    } else {
        free(t->error);
        t->error = xstrdup(error ? error : "no reason given");
    }
    if (pod->token_wait) {
        pod->token_wait = false;
        pod->retry_at = 0;
    }
    agent_pod_mark(pod);
}
