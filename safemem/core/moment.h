/* Time: reading a cache's clock, cheaply if it is time.monotonic itself, and moments as doubles for as long as they are.

   As long as the timer reads floats, moments and deadlines are doubles and nobody's code runs when they are compared. With the first
   reading or deadline of another kind the table changes over to Python objects for good, see objectify(). */

#ifndef SAFEMEM_MOMENT_H
#define SAFEMEM_MOMENT_H

#include "table.h"

typedef struct {
    double at;
    PyObject *object; /* owned; NULL: `at` says it */
} Moment;

static const Moment NO_MOMENT = {0.0, NULL};

static inline void
moment_release(Moment *moment)
{
    Py_CLEAR(moment->object);
}

#if defined(__linux__) && defined(CLOCK_MONOTONIC)
#define HAS_FAST_CLOCK 1
#else
#define HAS_FAST_CLOCK 0
#endif

#if HAS_FAST_CLOCK
/* The same number that time.monotonic() returns. */
static inline double
clock_exact(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)((int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec) / 1e9;
}

/* No later than clock_exact(), and by far less than a second earlier; takes a fifth of the time. */
static inline double
clock_coarse(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (double)((int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec) / 1e9;
#else
    return clock_exact();
#endif
}

/* Whether the cache's time is now that of time.monotonic: not frozen, no timer of the user's. The lock is held, for the clock may be
   another one at any time. */
static inline int
is_monotonic(Core *self)
{
    return LIKELY(self->now_slot != NULL) && LOAD_RELAXED(self->now_slot) == self->monotonic;
}

static inline int
is_later(double deadline)
{
    double coarse = clock_coarse();
    if (LIKELY(deadline - coarse > 1.0)) {
        return 1;
    }
    return deadline > coarse && clock_exact() < deadline;
}
#else
static inline double
clock_exact(void)
{
    return 0.0;
}

static inline int
is_monotonic(Core *self)
{
    (void)self;
    return 0;
}

static inline int
is_later(double deadline)
{
    (void)deadline;
    return 0;
}
#endif

/* A deadline as an object: one that never comes has to be later than a datetime too. */
static inline PyObject *
deadline_object(Core *self, double at)
{
    return at == Py_HUGE_VAL ? Py_NewRef(self->state->never) : PyFloat_FromDouble(at);
}

/* Change the table over to deadlines that are Python objects; -1 without memory, and then nothing has changed. */
static NOINLINE int
objectify(Core *self)
{
    if (self->objects) {
        return 0;
    }
    /* Floats and tuples of them are made; only the collector could run anything meanwhile. */
    PAUSE_COLLECTOR();
    PyObject *heap = PyList_New(0);
    PyObject **made = PyMem_Calloc((size_t)self->used + 1, sizeof(PyObject *));
    uint64_t schedules = self->schedules;
    int result = heap == NULL || made == NULL ? -1 : 0;
    if (made == NULL) {
        PyErr_NoMemory();
    }
    for (uint32_t number = 1; result == 0 && number <= self->used; number++) {
        if (self->entries[number].key == NULL) {
            continue;
        }
        made[number] = deadline_object(self, self->timing[number].at);
        if (made[number] == NULL) {
            result = -1;
        }
        else if (self->timing[number].next != 0) {
            PyObject *record = Py_BuildValue("(OKI)", made[number], (unsigned long long)++schedules, (unsigned int)number);
            if (record == NULL || PyList_Append(heap, record) < 0) {
                result = -1;
            }
            Py_XDECREF(record);
        }
    }
    if (result == 0) {
        PyObject *done = PyObject_CallOneArg(self->state->heapify, heap);
        result = done == NULL ? -1 : 0;
        Py_XDECREF(done);
    }
    if (result == 0) {
        schedules = self->schedules;
        for (uint32_t number = 1; number <= self->used; number++) {
            if (self->entries[number].key == NULL) {
                continue;
            }
            Timing *timing = timing_of(self, number);
            timing->object = made[number];
            if (timing->next != 0) {
                timing->next = NOT_DUE;
                timing->prev = (uint32_t)++schedules;
            }
        }
        self->schedules = schedules;
        self->object_heap = Py_NewRef(heap);
        PyMem_Free(self->heap);
        self->heap = NULL;
        self->due = self->heap_count = self->heap_capacity = 0;
        self->objects = 1;
        self->version++;
    }
    else if (made != NULL) {
        for (uint32_t number = 1; number <= self->used; number++) {
            Py_XDECREF(made[number]);
        }
    }
    PyMem_Free(made);
    Py_XDECREF(heap);
    RESUME_COLLECTOR();
    return result;
}

/* Make a moment of the kind that the table has now. */
static int
moment_agree(Core *self, Moment *moment)
{
    if (!self->objects) {
        if (moment->object == NULL) {
            return 0;
        }
        if (PyFloat_CheckExact(moment->object)) {
            moment->at = PyFloat_AS_DOUBLE(moment->object);
            Py_CLEAR(moment->object);
            return 0;
        }
        return objectify(self);
    }
    if (moment->object == NULL) {
        moment->object = PyFloat_FromDouble(moment->at);
    }
    return moment->object == NULL ? -1 : 0;
}

/* The same for a deadline. */
static int
deadline_agree(Core *self, Moment *deadline)
{
    if (self->objects && deadline->object == NULL) {
        deadline->object = deadline_object(self, deadline->at);
    }
    return moment_agree(self, deadline);
}

/* Whether a moment comes before all others: that of what began when a weak cache had no sense of time. */
static inline int
is_earliest(const Moment *moment)
{
    if (moment->object == NULL) {
        return moment->at == -Py_HUGE_VAL;
    }
    return PyFloat_CheckExact(moment->object) && PyFloat_AS_DOUBLE(moment->object) == -Py_HUGE_VAL;
}

/* The moment as an object, a new reference. */
static PyObject *
moment_object(const Moment *moment)
{
    return moment->object != NULL ? Py_NewRef(moment->object) : PyFloat_FromDouble(moment->at);
}

/* Set a moment from what a timer or its user returned; takes over the reference. */
static inline int
moment_set(Moment *moment, PyObject *object)
{
    if (object == NULL) {
        return -1;
    }
    if (PyFloat_CheckExact(object)) {
        moment->at = PyFloat_AS_DOUBLE(object);
        Py_DECREF(object);
        return 0;
    }
    moment->object = object;
    return 0;
}

/* What the public class has as `timer`; a new reference. */
static PyObject *
clock_of(Core *self)
{
    PyObject *clock;
    Py_BEGIN_CRITICAL_SECTION(self);
    clock = Py_XNewRef(self->clock);
    Py_END_CRITICAL_SECTION();
    if (clock != NULL) {
        return clock;
    }
    PyObject *fresh = PyObject_CallOneArg(self->state->clock_type, self->state->monotonic);
    if (fresh == NULL) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->clock == NULL) {
        self->clock = Py_NewRef(fresh);
        self->now_slot = (PyObject **)((char *)fresh + self->state->now_offset);
    }
    clock = Py_NewRef(self->clock);
    Py_END_CRITICAL_SECTION();
    Py_DECREF(fresh);
    return clock;
}

/* Read a clock, whose reference is taken over; runs the timer. */
static NOINLINE int
read_timer(Core *self, PyObject *clock, Moment *now)
{
    if (clock == NULL) {
        return -1;
    }
    PyObject *timer = PyObject_GetAttr(clock, self->state->str_now);
    Py_DECREF(clock);
    if (timer == NULL) {
        return -1;
    }
    int result = moment_set(now, PyObject_CallNoArgs(timer));
    Py_DECREF(timer);
    return result;
}

/* The time now. The lock is held, but for as long as a timer runs. */
static inline int
read_moment_locked(Core *self, Moment *now)
{
    *now = NO_MOMENT;
    if (LIKELY(is_monotonic(self))) {
        now->at = clock_exact();
        return 0;
    }
    return read_timer(self, self->clock != NULL ? Py_NewRef(self->clock) : clock_of(self), now);
}

/* The same for callers that do not hold the lock. */
static inline int
tells_monotonic(Core *self)
{
    int monotonic;
    Py_BEGIN_CRITICAL_SECTION(self);
    monotonic = is_monotonic(self);
    Py_END_CRITICAL_SECTION();
    return monotonic;
}

static inline int
read_moment(Core *self, Moment *now)
{
    *now = NO_MOMENT;
    if (LIKELY(tells_monotonic(self))) {
        now->at = clock_exact();
        return 0;
    }
    return read_timer(self, clock_of(self), now);
}

/* Call a method of the clock with an argument or none; a new reference. */
static PyObject *
ask_clock(Core *self, PyObject *name, PyObject *argument)
{
    PyObject *clock = clock_of(self);
    if (clock == NULL) {
        return NULL;
    }
    PyObject *answer = argument == NULL ? PyObject_CallMethodNoArgs(clock, name) : PyObject_CallMethodOneArg(clock, name, argument);
    Py_DECREF(clock);
    return answer;
}

#endif
