/* Emission: a signal's loop over its receivers, see _emission.py for what it does.

   An emission reads two fields of the signal and then walks a tuple that nobody changes. Everything here may run anybody's code; nothing
   is locked. */

#ifndef SAFEMEM_EMISSION_H
#define SAFEMEM_EMISSION_H

#include "link.h"

typedef struct {
    PyObject_HEAD
    PyObject *links;   /* a tuple */
    PyObject *special; /* None: there is nothing to do but to call the links */
    PyObject *owners;  /* of the signals of instances */
    PyObject *about;
    PyObject *module;
    State *state;
    Py_ssize_t limit;
} Emission;

#define FEW_ARGUMENTS 6

/* Arguments as receivers are to get them, with room in front for an object and for what a callee may put before its arguments. */
typedef struct {
    PyObject **at;
    Py_ssize_t count;
    PyObject *names;
    PyObject *few[FEW_ARGUMENTS + 2];
} Arguments;

static int
arguments_take(Arguments *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t all = count + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
    self->at = self->few;
    if (all > FEW_ARGUMENTS && (self->at = PyMem_Malloc(((size_t)all + 2) * sizeof(PyObject *))) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < all; i++) {
        self->at[i + 2] = args[i];
    }
    self->count = count;
    self->names = names;
    return 0;
}

static void
arguments_release(Arguments *self)
{
    if (self->at != self->few) {
        PyMem_Free(self->at);
    }
}

/* -- failures ------------------------------------------------------------------------------------------------------------------- */

/* The exception that is set, taken out. */
static PyObject *
take_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return error;
#endif
}

/* Set an exception that was taken out, as it was. */
static void
put_error(PyObject *error)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

static PyObject *
title_of(Emission *self)
{
    PyObject *about = take_field(self, &self->about);
    PyObject *title = PyObject_CallMethodNoArgs(about, self->state->str_title);
    Py_DECREF(about);
    return title;
}

/* Note whose the exception is that is set, and put it to the others, so that the emission can go on: 0. -1: it is one that ends it, and set.
   What the link has called is given away. */
static NOINLINE int
collect_failure(Emission *self, PyObject *link, PyObject *called, PyObject **errors)
{
    State *state = self->state;
    PyObject *error = take_error(), *title = title_of(self);
    PyObject *done = title == NULL ? NULL : PyObject_CallFunctionObjArgs(state->blame, error, link, title, called, NULL);
    Py_DECREF(called);
    if (done != NULL && PyErr_GivenExceptionMatches(error, PyExc_Exception)) {
        if (*errors == NULL) {
            *errors = PyList_New(0);
        }
        if (*errors != NULL && PyList_Append(*errors, error) == 0) {
            Py_DECREF(title);
            Py_DECREF(done);
            Py_DECREF(error);
            return 0;
        }
    }
    else if (done != NULL && *errors != NULL) {
        Py_SETREF(done, PyObject_CallFunctionObjArgs(state->remember, error, *errors, title, NULL));
    }
    Py_XDECREF(title);
    Py_XDECREF(done);
    if (PyErr_Occurred()) { /* no memory, or an interrupt: that ends it too */
        Py_DECREF(error);
    }
    else {
        put_error(error);
    }
    return -1;
}

/* Raise what receivers raised as one group. */
static NOINLINE void
raise_failures(Emission *self, PyObject *errors)
{
    PyObject *title = title_of(self);
    PyObject *group = title == NULL ? NULL : PyObject_CallFunctionObjArgs(self->state->failure, title, errors, Py_None, NULL);
    Py_XDECREF(title);
    if (group != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(group), group);
        Py_DECREF(group);
    }
}

/* -- the loop ------------------------------------------------------------------------------------------------------------------- */

/* Call one receiver: 1, or 0 if it is there no more, or -1, and then give out what was called. */
static inline int
call_link(Link *link, Arguments *arguments, PyObject **called)
{
    PyObject *func = take_field(link, &link->func), *result = NULL;
    if (func == Py_None) {
        Py_DECREF(func);
        return 0;
    }
    PyObject *ref = take_field(link, &link->ref);
    if (ref == Py_None) {
        result = PyObject_Vectorcall(func, arguments->at + 2, (size_t)arguments->count | PY_VECTORCALL_ARGUMENTS_OFFSET, arguments->names);
    }
    else {
        PyObject *object = link_object(ref);
        if (object != NULL) {
            arguments->at[1] = object;
            result = PyObject_Vectorcall(func, arguments->at + 1, (size_t)(arguments->count + 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, arguments->names);
            Py_DECREF(object); /* it lives no longer than the call because of us */
        }
        else if (!PyErr_Occurred()) {
            Py_DECREF(ref);
            Py_DECREF(func);
            return 0;
        }
    }
    Py_DECREF(ref);
    if (UNLIKELY(result == NULL)) {
        *called = func;
        return -1;
    }
    Py_DECREF(result);
    Py_DECREF(func);
    return 1;
}

/* Call the receivers of these links. */
static int
call_links(Emission *self, PyObject *links, Arguments *arguments)
{
    PyObject *errors = NULL;
    int stale = 0, result = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(links) && result == 0; i++) {
        PyObject *link = PyTuple_GET_ITEM(links, i);
        if (UNLIKELY(!is_link(link))) {
            PyErr_Format(PyExc_TypeError, "a link must be a Link, got %R", link);
            result = -1;
            break;
        }
        PyObject *called = NULL;
        int outcome = call_link((Link *)link, arguments, &called);
        stale |= outcome == 0;
        if (UNLIKELY(outcome < 0)) {
            result = collect_failure(self, link, called, &errors);
        }
    }
    if (result == 0 && UNLIKELY(stale)) {
        PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_prune);
        result = done == NULL ? -1 : 0;
        Py_XDECREF(done);
    }
    if (result == 0 && UNLIKELY(errors != NULL)) {
        raise_failures(self, errors);
        result = -1;
    }
    Py_XDECREF(errors);
    return result;
}

/* The links to be called where something is special about the signal: a new tuple, or NULL. */
static NOINLINE PyObject *
admit(Emission *self, PyObject *special, Arguments *arguments)
{
    PyObject *args = PyTuple_New(arguments->count), *kwargs = PyDict_New(), *links = NULL;
    Py_ssize_t named = arguments->names == NULL ? 0 : PyTuple_GET_SIZE(arguments->names);
    for (Py_ssize_t i = 0; args != NULL && i < arguments->count; i++) {
        PyTuple_SET_ITEM(args, i, Py_NewRef(arguments->at[i + 2]));
    }
    int able = args != NULL && kwargs != NULL;
    for (Py_ssize_t i = 0; able && i < named; i++) {
        able = PyDict_SetItem(kwargs, PyTuple_GET_ITEM(arguments->names, i), arguments->at[arguments->count + i + 2]) == 0;
    }
    if (able) {
        links = PyObject_CallMethodObjArgs(special, self->state->str_admit, (PyObject *)self, Py_None, args, kwargs, NULL);
    }
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    if (links != NULL && !PyTuple_CheckExact(links)) {
        Py_SETREF(links, PySequence_Tuple(links));
    }
    return links;
}

PyDoc_STRVAR(emit_doc,
             "emit($self, /, *args, **kwargs)\n--\n\n"
             "Call every receiver of no particular sender with these arguments; what they return is not looked at.\n"
             "\n"
             "Every receiver is called. The Exceptions of those that fail are raised afterwards as one ExceptionGroup, each with a note that names\n"
             "the receiver and the source line that connected it. A BaseException that is no Exception is raised at once; what had failed before\n"
             "it is its `__context__`. A coroutine receiver fails with a RuntimeError: it can be called by `aemit()` and `asend()` only.");

static PyObject *
emission_emit(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Emission *self = (Emission *)op;
    PyObject *special = take_field(self, &self->special);
    PyObject *links = LIKELY(special == Py_None) ? take_field(self, &self->links) : NULL;
    if (links != NULL && PyTuple_GET_SIZE(links) == 0) {
        Py_DECREF(links);
        Py_DECREF(special);
        Py_RETURN_NONE;
    }
    Arguments arguments;
    if (arguments_take(&arguments, args, count, names) < 0) {
        Py_XDECREF(links);
        Py_DECREF(special);
        return NULL;
    }
    if (UNLIKELY(links == NULL)) {
        links = admit(self, special, &arguments);
    }
    Py_DECREF(special);
    int result = links == NULL ? -1 : call_links(self, links, &arguments);
    Py_XDECREF(links);
    arguments_release(&arguments);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

#endif
