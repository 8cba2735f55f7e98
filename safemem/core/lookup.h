/* Looking up: what a read sees, and what it leaves. */

#ifndef SAFEMEM_LOOKUP_H
#define SAFEMEM_LOOKUP_H

#include "shrink.h"
#include "store.h"

/* Whether an entry is alive, asking a timer of the user's: 1, 0, -1 with an exception set, 2 if the entry is not there any more. */
static int
ask_alive(Core *self, uint32_t number, uint32_t birth, Moment *now)
{
    if (read_moment_locked(self, now) < 0) {
        return -1;
    }
    if (moment_agree(self, now) < 0) {
        return -1;
    }
    if (!is_same(self, number, birth)) {
        return 2;
    }
    if (!self->objects) {
        return now->at < self->timing[number].at;
    }
    PyObject *deadline = Py_NewRef(self->timing[number].object);
    int alive = PyObject_RichCompareBool(now->object, deadline, Py_LT);
    Py_DECREF(deadline);
    return alive >= 0 && !is_same(self, number, birth) ? 2 : alive;
}

/* Find the entry of a key that is alive; `now`: the time it was asked at, if the caller wants it. */
static NOINLINE uint32_t
find_alive(Core *self, PyObject *key, uint32_t hash, Moment *now)
{
    for (;;) {
        uint32_t number = find(self, key, hash);
        if (number == 0 || number == FAILED) {
            return number;
        }
        if (now == NULL && !self->objects && is_monotonic(self)) {
            return is_later(self->timing[number].at) ? number : 0;
        }
        Moment moment = NO_MOMENT;
        int alive = ask_alive(self, number, self->entries[number].birth, &moment);
        if (now != NULL && alive == 1) {
            *now = moment;
        }
        else {
            moment_release(&moment);
        }
        if (alive < 0) {
            return FAILED;
        }
        if (alive < 2) {
            return alive ? number : 0;
        }
    }
}

/* The number of a key's entry if it is alive, 0 if not, FAILED with an exception set; as find(), nothing has run since. */
static inline uint32_t
find_live(Core *self, PyObject *key, uint32_t hash)
{
    if (!self->timed) {
        return find(self, key, hash);
    }
#if HAS_FAST_CLOCK
    if (LIKELY(!self->objects && is_monotonic(self))) {
        uint32_t number = find(self, key, hash);
        if (number == 0 || number == FAILED) {
            return number;
        }
        if (LIKELY(!self->objects)) {
            return is_later(self->timing[number].at) ? number : 0;
        }
    }
#endif
    return find_alive(self, key, hash, NULL);
}

/* A look-up that counts and promotes: a new reference; NULL without an exception if the key is missing. */
static inline PyObject *
look_up(Core *self, PyObject *key, uint32_t hash)
{
    uint32_t number = find_live(self, key, hash);
    if (LIKELY(number + 1 > 1)) {
        self->hits++;
        promote(self, number);
        note_use(self, number);
        return Py_NewRef(self->entries[number].value);
    }
    if (number == 0) {
        self->misses++;
    }
    return NULL;
}

/* The same where entries may be held weakly; one whose value only others held is held strongly again, and another is let off for it. */
static PyObject *
use_entry(Core *self, uint32_t number, Gone *gone)
{
    Entry *entry = &self->entries[number];
    note_use(self, number);
    if (LIKELY(!entry->weak)) {
        self->hits++;
        weak_promote(self, number);
        return Py_NewRef(self->entries[number].value);
    }
    PyObject *ref = entry->value, *value = referent(ref);
    if (value == NULL) {
        self->misses++;
        return NULL;
    }
    self->hits++;
    self->revived++;
    promote(self, number);
    PyObject *size = NULL;
    int large = self->limit < 1;
    if (self->weighs) {
        large = PyObject_RichCompareBool(self->weights[number], self->bound, Py_GT); /* of ints and floats */
        size = large != 0 || total_weight(self) == NULL ? NULL : PyNumber_Add(self->size, self->weights[number]);
        large |= size == NULL;
    }
    if (large == 0) {
        hold_strongly(self, number, value);
        keep_ref(self, number, ref);
        recount(self, number, 1);
        if (size != NULL) {
            Py_SETREF(self->size, size);
        }
        note_tracked(self, NULL, value);
        strong_join(self, number);
        if (let_off_surplus(self, gone) == 0) {
            return value;
        }
    }
    PyErr_Clear(); /* want of memory: the value is there all the same */
    return value;
}

/* Look up in a cache that may hold entries weakly. No lock is held. */
static NOINLINE PyObject *
weak_look_up(Core *self, PyObject *key, uint32_t hash)
{
    Gone gone;
    gone_init(&gone);
    PyObject *value = NULL;
    int alarmed;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (has_mail(self)) {
        read_mail(self, &gone);
    }
    uint32_t number = find_live(self, key, hash);
    if (number == 0) {
        self->misses++;
    }
    else if (number != FAILED) {
        value = use_entry(self, number, &gone);
    }
    alarmed = is_alarmed(self); /* by a value that is held again */
    Py_END_CRITICAL_SECTION();
    if (account_finish(self, alarmed, 0, gone_finish(self, &gone, 0)) < 0) {
        Py_CLEAR(value);
    }
    return value;
}

/* Look up in any cache. No lock is held. */
static inline PyObject *
look_up_any(Core *self, PyObject *key, uint32_t hash)
{
    if (UNLIKELY(self->weak)) {
        return weak_look_up(self, key, hash);
    }
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(self);
    value = look_up(self, key, hash);
    Py_END_CRITICAL_SECTION();
    return value;
}

/* Remove the entries whose values have died, as every operation on a weak cache does first. No lock is held. */
static NOINLINE int
answer_mail(Core *self)
{
    Gone gone;
    gone_init(&gone);
    int result;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (has_mail(self)) {
        read_mail(self, &gone);
    }
    result = shrink(self);
    Py_END_CRITICAL_SECTION();
    return gone_finish(self, &gone, result);
}

static inline int
bury_dead(Core *self)
{
    return LIKELY(!self->weak) || !has_mail(self) ? 0 : answer_mail(self);
}

/* Remove what has expired, as len() and the like do. */
static NOINLINE int
expire_now(Core *self)
{
    if (LOAD_RELAXED(&self->watched)) {
        return call_watcher(self);
    }
    int waiting;
    Py_BEGIN_CRITICAL_SECTION(self);
    waiting = self->objects ? PyList_GET_SIZE(self->object_heap) > 0 : due_first(self) != 0;
    Py_END_CRITICAL_SECTION();
    if (!waiting) {
        return 0;
    }
    Moment now;
    Gone gone;
    gone_init(&gone);
    int result = read_moment(self, &now);
    if (result == 0) {
        Py_BEGIN_CRITICAL_SECTION(self);
        result = settle(self, &now, &gone);
        result = result < 0 ? -1 : shrink(self);
        Py_END_CRITICAL_SECTION();
    }
    moment_release(&now);
    return gone_finish(self, &gone, result);
}

#endif
