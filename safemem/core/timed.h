/* What caches with a sense of time have beside the mapping: expire, ttl_of, and their clock. */

#ifndef SAFEMEM_TIMED_H
#define SAFEMEM_TIMED_H

#include "writing.h"

static const char *const ONLY_TIME[] = {"time"};
static const char *const ONLY_KEY[] = {"key"};

/* Make a moment a double if it is an integer that a double is exact for: no reason for the table to change over to objects. */
static void
round_moment(Moment *moment)
{
    int overflow;
    long long whole = PyLong_AsLongLongAndOverflow(moment->object, &overflow);
    if (overflow == 0 && whole >= -(1LL << 53) && whole <= 1LL << 53) {
        moment->at = (double)whole;
        Py_CLEAR(moment->object);
    }
}

static PyObject *
core_expire(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    static const Signature signature = {"TTLCore.expire", ONLY_TIME, 0, 1};
    PyObject *out[1];
    if (parse(&signature, args, count, names, out) < 0) {
        return NULL;
    }
    if (bury_dead(self) < 0) {
        return NULL;
    }
    if (!self->timed) { /* a weak cache without a sense of time so far */
        return PyList_New(0);
    }
    Moment now = NO_MOMENT;
    if (out[0] == NULL || out[0] == Py_None) {
        if (read_moment(self, &now) < 0) {
            return NULL;
        }
    }
    else if (moment_set(&now, ask_clock(self, self->state->str_own, out[0])) < 0) {
        return NULL;
    }
    Gone gone;
    gone_init(&gone);
    int result;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (!self->objects && now.object != NULL && PyLong_CheckExact(now.object)) {
        round_moment(&now);
    }
    result = moment_agree(self, &now);
    if (result == 0) {
        result = expire_due(self, &now, &gone);
        result = result < 0 ? -1 : shrink(self);
    }
    Py_END_CRITICAL_SECTION();
    moment_release(&now);
    PyObject *list = result < 0 ? NULL : gone_list(&gone, self->state->cause_expired);
    if (gone_finish(self, &gone, list == NULL ? -1 : 0) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* What is left until a deadline; both are of the same kind. */
static PyObject *
life_left(Core *self, Moment *deadline, Moment *now)
{
    if (deadline->object == NULL) {
        return PyFloat_FromDouble(deadline->at - now->at);
    }
    return PyObject_CallFunctionObjArgs(self->state->life, deadline->object, now->object, NULL);
}

static Moment
deadline_of(Core *self, uint32_t number)
{
    Moment deadline = NO_MOMENT;
    if (self->objects) {
        deadline.object = Py_NewRef(self->timing[number].object);
    }
    else {
        deadline.at = self->timing[number].at;
    }
    return deadline;
}

static PyObject *
core_ttl_of(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    static const Signature signature = {"TTLCore.ttl_of", ONLY_KEY, 1, 1};
    PyObject *out[1];
    if (parse(&signature, args, count, names, out) < 0) {
        return NULL;
    }
    int64_t hash = hash_key(self, out[0]);
    if (hash < 0 || bury_dead(self) < 0) {
        return NULL;
    }
    Moment now = NO_MOMENT, deadline = {Py_HUGE_VAL, NULL};
    uint32_t number;
    PyObject *value = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    number = self->timed ? find_alive(self, out[0], (uint32_t)hash, &now) : find(self, out[0], (uint32_t)hash);
    if (self->weak && number != 0 && number != FAILED) {
        value = entry_object(&self->entries[number]);
        number = value == NULL ? 0 : number;
    }
    if (self->timed && number != 0 && number != FAILED) {
        deadline = deadline_of(self, number);
        if ((deadline.object != NULL) != (now.object != NULL) && moment_agree(self, &now) < 0) {
            number = FAILED;
        }
    }
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(value);
    PyObject *left = NULL;
    if (number == 0) {
        raise_key_error(out[0]);
    }
    else if (number != FAILED) {
        left = life_left(self, &deadline, &now);
    }
    moment_release(&now);
    moment_release(&deadline);
    return left;
}

/* -- attributes ---------------------------------------------------------------------------------------------------------------------- */

static PyObject *
core_clock(PyObject *op, void *Py_UNUSED(closure))
{
    return clock_of((Core *)op);
}

static PyObject *
core_step(PyObject *op, void *Py_UNUSED(closure))
{
    Core *self = (Core *)op;
    PyObject *step;
    Py_BEGIN_CRITICAL_SECTION(self);
    step = Py_NewRef(self->step == NULL ? self->state->infinity : self->step);
    Py_END_CRITICAL_SECTION();
    return step;
}

static PyObject *
core_watched(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(LOAD_RELAXED(&((Core *)op)->watched));
}

static PyObject *
core_ttu(PyObject *op, void *Py_UNUSED(closure))
{
    Core *self = (Core *)op;
    PyObject *ttu;
    Py_BEGIN_CRITICAL_SECTION(self);
    ttu = Py_NewRef(self->ttu == NULL ? Py_None : self->ttu);
    Py_END_CRITICAL_SECTION();
    return ttu;
}

#endif
