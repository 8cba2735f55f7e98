/* What the call of a cached coroutine function returns when there is a result: a coroutine that has only to be asked for it. */

#ifndef SAFEMEM_READY_H
#define SAFEMEM_READY_H

#include "state.h"

typedef struct {
    PyObject_HEAD
    PyObject *value;    /* NULL: it has been awaited, thrown into or closed */
    PyObject *function; /* whose result it is */
    PyObject *weakrefs;
} Ready;

/* Takes over the reference to the value. */
static inline PyObject *
ready_new(State *state, PyObject *function, PyObject *value)
{
    if (UNLIKELY(state->ready_type == NULL)) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        Py_DECREF(value);
        return NULL;
    }
    Ready *self = PyObject_GC_New(Ready, state->ready_type);
    if (self == NULL) {
        Py_DECREF(value);
        return NULL;
    }
    self->value = value;
    self->function = Py_NewRef(function);
    self->weakrefs = NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* Take the value out; NULL with an exception set if it was taken before. */
static PyObject *
ready_take(Ready *self)
{
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(self);
    value = self->value;
    self->value = NULL;
    Py_END_CRITICAL_SECTION();
    if (value == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    }
    return value;
}

static PySendResult
ready_am_send(PyObject *op, PyObject *sent, PyObject **result)
{
    if (UNLIKELY(sent != NULL && sent != Py_None && ((Ready *)op)->value != NULL)) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        *result = NULL;
        return PYGEN_ERROR;
    }
    *result = ready_take((Ready *)op);
    return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

/* StopIteration(value), as an iterator ends that has something to say. */
static PyObject *
ready_send(PyObject *op, PyObject *sent)
{
    PyObject *value;
    if (ready_am_send(op, sent, &value) == PYGEN_RETURN) {
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
        Py_DECREF(value);
    }
    return NULL;
}

static PyObject *
ready_next(PyObject *op)
{
    return ready_send(op, Py_None);
}

static PyObject *
ready_close(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(op);
    value = ((Ready *)op)->value;
    ((Ready *)op)->value = NULL;
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(value);
    Py_RETURN_NONE;
}

/* Set what is thrown, as generators understand it; 0 if it cannot be thrown. */
static int
ready_set_thrown(PyObject *error, PyObject *value, PyObject *traceback)
{
    if (traceback != NULL && traceback != Py_None && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
        return 0;
    }
    if (PyExceptionClass_Check(error)) {
        PyErr_SetObject(error, value);
    }
    else if (!PyExceptionInstance_Check(error)) {
        PyErr_Format(PyExc_TypeError, "exceptions must be classes or instances deriving from BaseException, not %s", Py_TYPE(error)->tp_name);
        return 0;
    }
    else if (value != NULL && value != Py_None) {
        PyErr_SetString(PyExc_TypeError, "instance exception may not have a separate value");
        return 0;
    }
    else {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    if (traceback != NULL && traceback != Py_None) {
        PyObject *type, *raised, *old;
        PyErr_Fetch(&type, &raised, &old);
        Py_XDECREF(old);
        PyErr_Restore(type, raised, Py_NewRef(traceback));
    }
    return 1;
}

/* Raise what is thrown: an exception, or a type with a value and a traceback. */
static PyObject *
ready_throw(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 3) {
        PyErr_Format(PyExc_TypeError, "throw expected %s, got %zd", count < 1 ? "at least 1 argument" : "at most 3 arguments", count);
        return NULL;
    }
    if (!ready_set_thrown(args[0], count > 1 ? args[1] : NULL, count > 2 ? args[2] : NULL)) {
        return NULL;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *value = ready_take((Ready *)op);
    if (value == NULL) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
        return NULL;
    }
    Py_DECREF(value);
    PyErr_Restore(type, error, traceback);
    return NULL;
}

static PyObject *
ready_name(PyObject *op, void *attribute)
{
    PyObject *function = ((Ready *)op)->function;
    PyObject *name = function == NULL ? NULL : PyObject_GetAttrString(function, attribute);
    if (name == NULL && (function == NULL || PyErr_ExceptionMatches(PyExc_AttributeError))) { /* the collector may have been there */
        PyErr_Clear();
        name = PyUnicode_FromString("?");
    }
    return name;
}

static PyObject *
ready_repr(PyObject *op)
{
    PyObject *name = ready_name(op, "__qualname__");
    PyObject *text = name == NULL ? NULL : PyUnicode_FromFormat("<coroutine object %S at %p>", name, op);
    Py_XDECREF(name);
    return text;
}

/* Say that somebody forgot to await it. */
static void
ready_finalize(PyObject *op)
{
    if (LIKELY(((Ready *)op)->value == NULL)) {
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *name = ready_name(op, "__qualname__");
    if (name == NULL || PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%S' was never awaited", name) < 0) {
        PyErr_WriteUnraisable(op);
    }
    Py_XDECREF(name);
    PyErr_Restore(type, value, traceback);
}

static int
ready_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((Ready *)op)->value);
    Py_VISIT(((Ready *)op)->function);
    return 0;
}

static int
ready_clear(PyObject *op)
{
    Py_CLEAR(((Ready *)op)->value);
    Py_CLEAR(((Ready *)op)->function);
    return 0;
}

static void
ready_dealloc(PyObject *op)
{
    if (UNLIKELY(((Ready *)op)->value != NULL) && PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, ready_dealloc)
    if (UNLIKELY(((Ready *)op)->weakrefs != NULL)) {
        PyObject_ClearWeakRefs(op);
    }
    ready_clear(op);
    PyObject_GC_Del(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMethodDef ready_methods[] = {
    {"send", ready_send, METH_O, "send(arg) -> StopIteration with the result."},
    {"throw", (PyCFunction)(void (*)(void))ready_throw, METH_FASTCALL, "throw(value) -> raises it."},
    {"close", ready_close, METH_NOARGS, "close() -> the result is not wanted."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef ready_getset[] = {
    {"__name__", ready_name, NULL, NULL, "__name__"},
    {"__qualname__", ready_name, NULL, NULL, "__qualname__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef ready_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Ready, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_doc, "A coroutine whose result is known."},
    {Py_tp_dealloc, ready_dealloc},
    {Py_tp_finalize, ready_finalize},
    {Py_tp_traverse, ready_traverse},
    {Py_tp_clear, ready_clear},
    {Py_tp_repr, ready_repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, ready_next},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, ready_am_send},
    {Py_tp_methods, ready_methods},
    {Py_tp_getset, ready_getset},
    {Py_tp_members, ready_members},
    {0, NULL},
};

static PyType_Spec ready_spec = {
    "safemem.core._native.ready",
    sizeof(Ready),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    ready_slots,
};

#endif
