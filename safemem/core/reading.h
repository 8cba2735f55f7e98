/* The hot protocol, reading: [], get, in, peek, len. */

#ifndef SAFEMEM_READING_H
#define SAFEMEM_READING_H

#include "args.h"
#include "lookup.h"

static const char *const KEY_DEFAULT[] = {"key", "default"};

static NOINLINE PyObject *
call_missing(Core *self, PyObject *key)
{
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyObject_CallMethodOneArg((PyObject *)self, self->state->str_missing, key);
}

static PyObject *
core_subscript(PyObject *op, PyObject *key)
{
    Core *self = (Core *)op;
    int64_t hash = hash_key(self, key);
    if (UNLIKELY(hash < 0)) {
        return NULL;
    }
    PyObject *value = look_up_any(self, key, (uint32_t)hash);
    return LIKELY(value != NULL) ? value : call_missing(self, key);
}

static PyObject *
core_missing(PyObject *Py_UNUSED(op), PyObject *key)
{
    raise_key_error(key);
    return NULL;
}

static PyObject *
core_get(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    const Signature signature = {self->timed ? "TTLCore.get" : "LRUCore.get", KEY_DEFAULT, 1, 2};
    PyObject *out[2];
    if (UNLIKELY(parse(&signature, args, count, names, out) < 0)) {
        return NULL;
    }
    int64_t hash = hash_key(self, out[0]);
    if (UNLIKELY(hash < 0)) {
        return NULL;
    }
    PyObject *value = look_up_any(self, out[0], (uint32_t)hash);
    if (LIKELY(value != NULL)) {
        return value;
    }
    if (UNLIKELY(PyErr_Occurred() != NULL)) {
        return NULL;
    }
    return Py_NewRef(out[1] == NULL ? Py_None : out[1]);
}

static PyObject *
core_peek(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *self = (Core *)op;
    const Signature signature = {self->timed ? "TTLCore.peek" : "LRUCore.peek", KEY_DEFAULT, 1, 2};
    PyObject *out[2];
    if (parse(&signature, args, count, names, out) < 0) {
        return NULL;
    }
    int64_t hash = hash_key(self, out[0]);
    if (hash < 0 || bury_dead(self) < 0) {
        return NULL;
    }
    PyObject *value = NULL;
    uint32_t number;
    Py_BEGIN_CRITICAL_SECTION(self);
    number = find_live(self, out[0], (uint32_t)hash);
    if (number != 0 && number != FAILED) {
        value = entry_object(&self->entries[number]);
    }
    Py_END_CRITICAL_SECTION();
    if (number == FAILED || value != NULL) {
        return value;
    }
    return Py_NewRef(out[1] == NULL ? Py_None : out[1]);
}

static int
core_contains(PyObject *op, PyObject *key)
{
    Core *self = (Core *)op;
    int64_t hash = hash_key(self, key);
    if (UNLIKELY(hash < 0 || bury_dead(self) < 0)) {
        return -1;
    }
    uint32_t number;
    PyObject *value = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    number = find_live(self, key, (uint32_t)hash);
    if (UNLIKELY(self->weak) && number != 0 && number != FAILED) {
        value = entry_object(&self->entries[number]);
        number = value != NULL;
    }
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(value);
    return UNLIKELY(number == FAILED) ? -1 : number != 0;
}

static Py_ssize_t
core_length(PyObject *op)
{
    Core *self = (Core *)op;
    if (bury_dead(self) < 0 || (self->timed && expire_now(self) < 0)) {
        return -1;
    }
    Py_ssize_t count;
    Py_BEGIN_CRITICAL_SECTION(self);
    count = (Py_ssize_t)self->count;
    Py_END_CRITICAL_SECTION();
    return count;
}

#endif
