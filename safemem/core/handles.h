/* What belongs to an object and lies with it: reading what `_owners` keeps there. */

#ifndef SAFEMEM_HANDLES_H
#define SAFEMEM_HANDLES_H

#include "state.h"

/* What a slot of an object holds, a new reference; NULL: nothing. */
static inline PyObject *
take_slot(PyObject *object, Py_ssize_t offset)
{
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(object);
    value = Py_XNewRef(*(PyObject **)((char *)object + offset));
    Py_END_CRITICAL_SECTION();
    return value;
}

/* The same to compare it only: it may be gone already. */
static inline PyObject *
peek_slot(PyObject *object, Py_ssize_t offset)
{
    return LOAD_RELAXED((PyObject **)((char *)object + offset));
}

/* The handle of an owner whose class leaves no room for it; a new reference. NULL: none, or an exception is set. */
static NOINLINE PyObject *
find_in_table(State *state, PyObject *owners, PyObject *owner)
{
    PyObject *table = take_slot(owners, state->owners_table), *number = PyLong_FromVoidPtr(owner), *handle = NULL;
    if (table != NULL && number != NULL && PyDict_CheckExact(table)) {
#if PY_VERSION_HEX >= 0x030D0000
        (void)PyDict_GetItemRef(table, number, &handle);
#else
        handle = Py_XNewRef(PyDict_GetItemWithError(table, number));
#endif
    }
    Py_XDECREF(table);
    Py_XDECREF(number);
    return handle;
}

/* The handle that an owner has from these owners; as find_in_table(). */
static inline PyObject *
find_handle(State *state, PyObject *owners, PyObject *owner)
{
    if (LIKELY(Py_TYPE(owner)->tp_dictoffset != 0)) {
        PyObject *attribute = take_slot(owners, state->owners_attribute);
        PyObject *handle = attribute == NULL ? NULL : PyObject_GenericGetAttr(owner, attribute);
        Py_XDECREF(attribute);
        if (LIKELY(handle != NULL)) {
            return handle;
        }
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return NULL;
        }
        PyErr_Clear();
    }
    return find_in_table(state, owners, owner);
}

/* Whether a handle belongs to this owner and was given by these owners; it may have come along with a copy of another's __dict__. */
static inline int
is_handle_of(State *state, PyObject *handle, PyObject *owners, PyObject *owner)
{
    if (UNLIKELY(Py_TYPE(handle) != (PyTypeObject *)state->handle_type)) {
        return 0;
    }
    /* The owner is alive, so a reference that has its address is to it. */
    PyObject *referent = LOAD_RELAXED(&((PyWeakReference *)handle)->wr_object);
    return referent == owner && peek_slot(handle, state->handle_home) == peek_slot(owners, state->owners_home);
}

#endif
