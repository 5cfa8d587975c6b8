#include "internal.h"

#include <stdlib.h>

static void on_woken(uv_async_t *handle) {
    cuv_loop *loop = cuv_loop_of(handle->loop);
    cuv_turn_begins(loop);
    loop->callbacks.woken(loop->owner);
}

static void on_timer(uv_timer_t *handle) {
    cuv_loop *loop = cuv_loop_of(handle->loop);
    // Since 1.45, timers run after the other callbacks of a turn.
    if (loop->began == NO_TURN) cuv_turn_begins(loop);
    loop->callbacks.timer_fired(loop->owner);
    // libuv 1.44 reads the clock before its timers, and next time after the wait.
    uv_update_time(&loop->uv);
}

static void on_prepare(uv_prepare_t *handle) {
    cuv_loop *loop = cuv_loop_of(handle->loop);
    loop->turn += 1;
    cuv_turn_ends(loop);
}

int cuv_loop_create(const cuv_callbacks *callbacks, size_t read_budget, cuv_turns *turns,
                    cuv_loop **out) {
    cuv_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) return UV_ENOMEM;
    int error = uv_loop_init(&loop->uv);
    if (error < 0) {
        free(loop);
        return error;
    }
    loop->uv.data = loop;
    loop->callbacks = *callbacks;
    loop->read_budget = read_budget;
    loop->turns = turns != NULL ? turns : &loop->own_turns;
    loop->began = NO_TURN;
    error = uv_async_init(&loop->uv, &loop->async, on_woken);
    if (error < 0) {
        uv_loop_close(&loop->uv);
        free(loop);
        return error;
    }
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, on_prepare);
    *out = loop;
    return 0;
}

void cuv_loop_run(cuv_loop *loop, void *owner) {
    loop->owner = owner;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void cuv_loop_finish(cuv_loop *loop) {
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
}

int cuv_loop_destroy(cuv_loop *loop) {
    int error = uv_loop_close(&loop->uv);
    if (error == 0) {
        free(loop->batch);
        cuv_requests_free(loop);
        free(loop);
    }
    return error;
}

void cuv_loop_wake(cuv_loop *loop) { uv_async_send(&loop->async); }

uint64_t cuv_loop_now(const cuv_loop *loop) { return uv_now(&loop->uv); }

void cuv_loop_set_timer(cuv_loop *loop, uint64_t delay) { uv_timer_start(&loop->timer, on_timer, delay, 0); }
