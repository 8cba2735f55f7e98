/* Arguments: those of functions in Python, messages included. */

#ifndef SAFEMEM_ARGS_H
#define SAFEMEM_ARGS_H

#include "compat.h"

typedef struct {
    const char *name; /* as Python has it in messages: "LRUCore.get" */
    const char *const *parameters;
    Py_ssize_t required;
    Py_ssize_t most;
} Signature;

static NOINLINE int
wrong_number(const Signature *signature, Py_ssize_t given)
{
    Py_ssize_t required = signature->required, most = signature->most;
    const char *was = given == 0 ? "was" : "were"; /* Python counts self */
    if (required == most) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd positional argument%s but %zd %s given", signature->name, most + 1, most == 0 ? "" : "s",
                     given + 1, was);
    }
    else {
        PyErr_Format(PyExc_TypeError, "%s() takes from %zd to %zd positional arguments but %zd %s given", signature->name, required + 1,
                     most + 1, given + 1, was);
    }
    return -1;
}

/* Sort a vectorcall's arguments into `out`, NULL where there is none. */
static NOINLINE int
parse_slowly(const Signature *signature, PyObject *const *args, Py_ssize_t given, PyObject *names, PyObject **out)
{
    if (given > signature->most) {
        return wrong_number(signature, given);
    }
    for (Py_ssize_t i = 0; i < signature->most; i++) {
        out[i] = i < given ? args[i] : NULL;
    }
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        Py_ssize_t place = 0;
        while (place < signature->most && PyUnicode_CompareWithASCIIString(name, signature->parameters[place]) != 0) {
            place++;
        }
        if (place == signature->most) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", signature->name, name);
            return -1;
        }
        if (out[place] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", signature->name, name);
            return -1;
        }
        out[place] = args[given + i];
    }
    for (Py_ssize_t i = 0; i < signature->required; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'", signature->name, signature->parameters[i]);
            return -1;
        }
    }
    return 0;
}

/* The same for the usual call: one argument, or one and another, and no names. */
static inline int
parse(const Signature *signature, PyObject *const *args, Py_ssize_t given, PyObject *names, PyObject **out)
{
    if (LIKELY(names == NULL && given >= signature->required && given <= signature->most)) {
        for (Py_ssize_t i = 0; i < signature->most; i++) {
            out[i] = i < given ? args[i] : NULL;
        }
        return 0;
    }
    return parse_slowly(signature, args, given, names, out);
}

#endif
