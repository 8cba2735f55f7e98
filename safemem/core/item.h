/* A value on its way into the table: its weight and its deadline, all that calls out before anything is changed. */

#ifndef SAFEMEM_ITEM_H
#define SAFEMEM_ITEM_H

#include "due.h"
#include "keys.h"

/* A value on its way into the table. */
typedef struct {
    PyObject *key;
    PyObject *value;
    PyObject *weight; /* owned; NULL if entries are only counted */
    PyObject *ref;    /* owned; of a value that a weak cache holds weakly from the start, being larger than the bound */
    uint32_t hash;
    uint8_t timed; /* the moments are known */
    uint8_t measured; /* so are the next two, what a memory budget is charged */
    int64_t bytes;
    double cost;
    Moment now;
    Moment deadline;
} Item;

static inline void
item_init(Item *item, PyObject *key, PyObject *value, uint32_t hash)
{
    item->key = key;
    item->value = value;
    item->weight = NULL;
    item->ref = NULL;
    item->hash = hash;
    item->timed = 0;
    item->measured = 0;
    item->bytes = 0;
    item->cost = 0.0;
    item->now = NO_MOMENT;
    item->deadline = NO_MOMENT;
}

static inline void
item_release(Item *item)
{
    if (UNLIKELY(item->weight != NULL || item->ref != NULL || item->now.object != NULL || item->deadline.object != NULL)) {
        Py_CLEAR(item->weight);
        Py_CLEAR(item->ref);
        moment_release(&item->now);
        moment_release(&item->deadline);
    }
}

/* -- time: calls out -------------------------------------------------------------------------------------------------------------- */

static inline int
call_watcher(Core *self)
{
    if (LIKELY(!LOAD_RELAXED(&self->watched))) {
        return 0;
    }
    PyObject *expired = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_expire);
    Py_XDECREF(expired);
    return expired == NULL ? -1 : 0;
}

/* The time now, for a cache that has a sense of it. */
static inline int
time_now(Core *self, Moment *now)
{
    if (!self->timed) {
        now->at = -Py_HUGE_VAL; /* in case a weak cache gets a sense of time meanwhile: nothing is due */
        return 0;
    }
    if (call_watcher(self) < 0) {
        return -1;
    }
    return read_moment(self, now);
}

/* The deadline of what is stored `now` and lives for `ttl`. */
static int
deadline_after(Core *self, Moment *now, PyObject *ttl, Moment *deadline)
{
    if (now->object == NULL && PyFloat_CheckExact(ttl)) {
        deadline->at = now->at + PyFloat_AS_DOUBLE(ttl);
        return 0;
    }
    PyObject *reading = moment_object(now);
    if (reading == NULL) {
        return -1;
    }
    int result = moment_set(deadline, PyObject_CallFunctionObjArgs(self->state->after, reading, ttl, NULL));
    Py_DECREF(reading);
    return result;
}

/* The deadline that a function of the user's names; `monotonic`: the reading is that of time.monotonic. */
static int
deadline_from(Core *self, Item *item, PyObject *ttu, PyObject *raw, int monotonic)
{
    PyObject *stack[3] = {item->key, item->value, raw};
    PyObject *expires = PyObject_Vectorcall(ttu, stack, 3, NULL);
    if (expires == NULL) {
        return -1;
    }
    if (PyFloat_CheckExact(expires) && (monotonic || (PyFloat_AS_DOUBLE(expires) == Py_HUGE_VAL && item->now.object == NULL))) {
        return moment_set(&item->deadline, expires);
    }
    int result = PyObject_RichCompareBool(expires, self->state->infinity, Py_EQ);
    if (result > 0) {
        result = deadline_after(self, &item->now, self->state->infinity, &item->deadline);
    }
    else if (result == 0) {
        result = moment_set(&item->deadline, ask_clock(self, self->state->str_own, expires));
    }
    Py_DECREF(expires);
    return result;
}

static int
time_by_function(Core *self, Item *item, PyObject *ttu)
{
    PyObject *raw;
    int monotonic = tells_monotonic(self);
    if (monotonic) {
        item->now.at = clock_exact();
        raw = PyFloat_FromDouble(item->now.at);
    }
    else {
        PyObject *both = ask_clock(self, self->state->str_read, NULL);
        if (both == NULL) {
            return -1;
        }
        PyObject *own;
        if (!PyArg_ParseTuple(both, "OO", &own, &raw)) {
            Py_DECREF(both);
            return -1;
        }
        Py_INCREF(raw);
        int set = moment_set(&item->now, Py_NewRef(own));
        Py_DECREF(both);
        if (set < 0) {
            Py_DECREF(raw);
            return -1;
        }
    }
    if (raw == NULL) {
        return -1;
    }
    int result = deadline_from(self, item, ttu, raw, monotonic);
    Py_DECREF(raw);
    return result;
}

static NOINLINE int
time_slowly(Core *self, Item *item)
{
    PyObject *ttu, *step;
    double seconds;
    int known, result;
    Py_BEGIN_CRITICAL_SECTION(self);
    ttu = Py_XNewRef(self->ttu);
    step = Py_NewRef(self->step == NULL ? self->state->infinity : self->step);
    seconds = self->step_seconds;
    known = self->step_known;
    Py_END_CRITICAL_SECTION();
    if (ttu != NULL) {
        result = time_by_function(self, item, ttu);
    }
    else {
        result = read_moment(self, &item->now);
        if (result == 0 && known && item->now.object == NULL) {
            item->deadline.at = item->now.at + seconds;
        }
        else if (result == 0) {
            result = deadline_after(self, &item->now, step, &item->deadline);
        }
    }
    Py_XDECREF(ttu);
    Py_DECREF(step);
    return result;
}

/* The time now and when the value is to expire. What says so is read at one moment, for a cache may be set up anew at any. */
static inline int
time_of(Core *self, Item *item)
{
    if (!self->timed) {
        return 0;
    }
    if (call_watcher(self) < 0) {
        return -1;
    }
    int quick;
    double seconds;
    Py_BEGIN_CRITICAL_SECTION(self);
    quick = is_monotonic(self) && self->step_known && self->ttu == NULL;
    seconds = self->step_seconds;
    Py_END_CRITICAL_SECTION();
    item->timed = 1;
    if (LIKELY(quick)) {
        item->now.at = clock_exact();
        item->deadline.at = item->now.at + seconds;
        return 0;
    }
    return time_slowly(self, item);
}

/* Whether a moment of the table's kind comes before another one; objects' own code runs. */
static inline int
comes_before(Moment *now, Moment *deadline)
{
    if (now->object == NULL) {
        return now->at < deadline->at;
    }
    return PyObject_RichCompareBool(now->object, deadline->object, Py_LT);
}

/* -- weight: calls out ------------------------------------------------------------------------------------------------------------ */

/* A weight as an int or a float, of these very types; takes over the reference. */
static PyObject *
exact_number(PyObject *number)
{
    if (number == NULL || PyLong_CheckExact(number) || PyFloat_CheckExact(number)) {
        return number;
    }
    PyObject *exact = PyIndex_Check(number) ? PyNumber_Index(number) : PyNumber_Float(number);
    if (exact != NULL && PyLong_Check(exact) && !PyLong_CheckExact(exact)) {
        Py_SETREF(exact, PyNumber_Add(exact, Py_False)); /* a subclass of int */
    }
    Py_DECREF(number);
    return exact;
}

static PyObject *
weigh(Core *self, PyObject *value)
{
    State *state = self->state;
    PyObject *weight = LOAD_RELAXED(&self->weighs) ? PyObject_CallMethodOneArg((PyObject *)self, state->str_getsizeof, value) : Py_NewRef(state->one);
    if (weight == NULL) {
        return NULL;
    }
    int valid = PyObject_RichCompareBool(state->zero, weight, Py_LE);
    if (valid > 0) {
        valid = PyObject_RichCompareBool(weight, state->infinity, Py_LT);
    }
    if (valid < 0) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "getsizeof must return a number, got %R", weight);
        }
    }
    else if (valid == 0) {
        PyErr_Format(PyExc_ValueError, "getsizeof must return a finite number >= 0, got %R", weight);
    }
    if (valid <= 0) {
        Py_DECREF(weight);
        return NULL;
    }
    return weight;
}

/* Whether a weight is more than the bound allows: 1, 0 or -1. */
static int
is_too_large(Core *self, PyObject *exact)
{
    PyObject *bound;
    Py_BEGIN_CRITICAL_SECTION(self);
    bound = Py_NewRef(self->bound);
    Py_END_CRITICAL_SECTION();
    int large = PyObject_RichCompareBool(exact, bound, Py_GT);
    Py_DECREF(bound);
    return large;
}

static void
raise_too_large(Core *self, PyObject *weight)
{
    PyObject *maxsize;
    Py_BEGIN_CRITICAL_SECTION(self);
    maxsize = Py_NewRef(self->maxsize);
    Py_END_CRITICAL_SECTION();
    PyErr_Format(self->state->too_large, "value too large: its size must be <= maxsize (%R), got %R", maxsize, weight);
    Py_DECREF(maxsize);
}

/* Weigh a value; one that is too large is refused, but by a weak cache that can hold it weakly. */
static int
weigh_item(Core *self, Item *item)
{
    PyObject *weight = weigh(self, item->value);
    if (weight == NULL) {
        return -1;
    }
    item->weight = exact_number(Py_NewRef(weight));
    int large = item->weight == NULL ? -1 : is_too_large(self, item->weight);
    if (large > 0 && self->weak && is_weakable(item->value)) {
        item->ref = make_ref(self, item->value);
        large = item->ref == NULL ? -1 : 0;
    }
    else if (large > 0) {
        raise_too_large(self, weight);
    }
    Py_DECREF(weight);
    return large == 0 ? 0 : -1;
}

static NOINLINE void
raise_strict(PyObject *value)
{
    PyObject *name = PyType_GetName(Py_TYPE(value));
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "value must be weakly referenceable with unweakable='raise', got %R", name);
        Py_DECREF(name);
    }
}

/* See to a value before it is stored: weigh it and, for a subclass that wants to see evictions, make room for it. */
static NOINLINE int
prepare_slowly(Core *self, Item *item)
{
    if (self->strict && !is_weakable(item->value)) {
        raise_strict(item->value);
        return -1;
    }
    if (LOAD_RELAXED(&self->accounted)) {
        if (measure(self, item->key, item->value, &item->bytes, &item->cost) < 0) {
            return -1;
        }
        item->measured = 1;
        if (!self->weak && !LOAD_RELAXED(&self->weighs) && !LOAD_RELAXED(&self->hooked) && self->limit >= 1) {
            return 0;
        }
    }
    if (self->weak && !LOAD_RELAXED(&self->weighs) && (self->limit >= 1 || is_weakable(item->value))) {
        item->ref = self->limit >= 1 ? NULL : make_ref(self, item->value);
        return self->limit >= 1 || item->ref != NULL ? 0 : -1;
    }
    if (weigh_item(self, item) < 0) {
        return -1;
    }
    if (LOAD_RELAXED(&self->hooked)) {
        PyObject *made = PyObject_CallMethodObjArgs((PyObject *)self, self->state->str_make_room, item->key, item->weight, NULL);
        Py_XDECREF(made);
        return made == NULL ? -1 : 0;
    }
    return 0;
}

static inline int
prepare(Core *self, Item *item)
{
    return LIKELY(LOAD_RELAXED(&self->simple)) ? 0 : prepare_slowly(self, item);
}

#endif
