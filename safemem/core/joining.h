/* Who listens to a signal: its links, replaced as a whole, and connecting in one step. */

#ifndef SAFEMEM_JOINING_H
#define SAFEMEM_JOINING_H

#include "emission.h"

/* Whether a link of this priority may come right after another one: 1, 0, or -1 with an exception set. */
static int
may_follow(Link *last, Link *link)
{
    return last->priority == link->priority ? 1 : PyObject_RichCompareBool(last->priority, link->priority, Py_GE); /* of ints */
}

/* The links with one more at their end, a new reference; NULL: its place is elsewhere, or an exception is set. */
static PyObject *
appended(PyObject *links, PyObject *link)
{
    Py_ssize_t count = PyTuple_GET_SIZE(links);
    while (count > 0) {
        PyObject *last = PyTuple_GET_ITEM(links, count - 1);
        if (!is_link(last)) {
            return NULL;
        }
        if (!LOAD_RELAXED(&((Link *)last)->ended)) {
            break;
        }
        count--; /* the commonest case of what `_prune` does */
    }
    if (count > 0 && may_follow((Link *)PyTuple_GET_ITEM(links, count - 1), (Link *)link) <= 0) {
        return NULL;
    }
    PyObject *fresh = PyTuple_New(count + 1);
    for (Py_ssize_t i = 0; fresh != NULL && i < count; i++) {
        PyTuple_SET_ITEM(fresh, i, Py_NewRef(PyTuple_GET_ITEM(links, i)));
    }
    if (fresh != NULL) {
        PyTuple_SET_ITEM(fresh, count, Py_NewRef(link));
    }
    return fresh;
}

/* Replace the links if they still are the old ones, and nothing is special about the signal: in one step, with no lock but that of the
   object. What is special is looked after by who holds the lock of all signals. */
static int
swap_links(Emission *self, PyObject *old, PyObject *fresh)
{
    int swapped;
    Py_BEGIN_CRITICAL_SECTION(self);
    swapped = self->links == old && self->special == Py_None;
    if (swapped) {
        self->links = Py_NewRef(fresh);
    }
    Py_END_CRITICAL_SECTION();
    if (swapped) {
        Py_DECREF(old); /* the caller has another reference to it */
    }
    return swapped;
}

/* Put a link last, if nothing is special about the signal and the place is its own: 1, 0, or -1 with an exception set. */
static int
append_link(Emission *self, PyObject *link)
{
    for (;;) {
        PyObject *links = take_field(self, &self->links), *fresh = NULL;
        if (LOAD_RELAXED(&self->special) == Py_None && PyTuple_GET_SIZE(links) < LOAD_RELAXED(&self->limit)) { /* else its place is not just at the end */
            fresh = appended(links, link);
        }
        int done = fresh != NULL && swap_links(self, links, fresh);
        int again = fresh != NULL && !done;
        Py_XDECREF(fresh);
        Py_DECREF(links);
        if (!again) {
            return PyErr_Occurred() ? -1 : done;
        }
    }
}

static PyObject *
emission_append(PyObject *op, PyObject *link)
{
    if (!is_link(link)) {
        PyErr_Format(PyExc_TypeError, "a link must be a Link, got %R", link);
        return NULL;
    }
    int done = append_link((Emission *)op, link);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyObject *
emission_swap(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyTuple_CheckExact(args[0]) || !PyTuple_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "_swap() takes two tuples");
        return NULL;
    }
    return PyBool_FromLong(swap_links((Emission *)op, args[0], args[1]));
}

/* -- connecting in one step ----------------------------------------------------------------------------------------------------- */

/* The handle of a link: a weak reference to it that knows where it was made. A new reference. */
static PyObject *
make_handle(State *state, PyTypeObject *type, Link *link)
{
    PyObject *handle = NULL, *origin = link_get_origin((PyObject *)link, NULL), *args = PyTuple_Pack(1, (PyObject *)link);
    if (origin != NULL && args != NULL) {
        handle = type->tp_new(type, args, NULL);
    }
    if (handle != NULL && PyObject_SetAttr(handle, state->str_origin, origin) < 0) {
        Py_CLEAR(handle);
    }
    Py_XDECREF(origin);
    Py_XDECREF(args);
    return handle;
}

/* Whether a coroutine or a generator comes of calling the function, or it says so of itself. */
static int
is_unusual(PyFunctionObject *func)
{
    PyObject *code = take_field(func, &func->func_code);
    int unusual = (((PyCodeObject *)code)->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) != 0;
    Py_DECREF(code);
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *marks = take_field(func, &func->func_dict);
    unusual |= marks != Py_None && PyDict_GET_SIZE(marks) > 0;
    Py_DECREF(marks);
#endif
    return unusual;
}

/* The function of a receiver, borrowed, if it is one of those that are connected most, and the object it is called with or None. NULL: it
   is something else, or there is something to be looked at more closely. */
static PyObject *
usual_function(PyObject *receiver, int is_free, PyObject **object)
{
    PyObject *func = receiver;
    *object = Py_None;
    if (Py_IS_TYPE(receiver, &PyMethod_Type)) {
        func = PyMethod_GET_FUNCTION(receiver);
        *object = PyMethod_GET_SELF(receiver);
        if (Py_REFCNT(*object) <= 1 || !PyType_SUPPORTS_WEAKREFS(Py_TYPE(*object))) { /* nobody but the method holds it */
            return NULL;
        }
        is_free = 1;
    }
    if (!Py_IS_TYPE(func, &PyFunction_Type)) {
        return NULL;
    }
    PyFunctionObject *function = (PyFunctionObject *)func;
    if (!is_free && (function->func_closure != NULL || LOAD_RELAXED(&function->func_defaults) != NULL || LOAD_RELAXED(&function->func_kwdefaults) != NULL)) {
        return NULL;
    }
    return is_unusual(function) ? NULL : func;
}

/* The link and its handle; connected are they not yet. A new reference to the handle, or NULL. */
static PyObject *
make_link(Emission *self, PyObject *const *args, PyObject *func, PyObject *object, PyObject **link)
{
    PyObject *ref = object == Py_None ? Py_NewRef(Py_None) : PyWeakref_NewRef(object, NULL);
    if (ref == NULL) {
        return NULL;
    }
    PyFrameObject *frame = (PyFrameObject *)args[5];
    PyObject *code = (PyObject *)PyFrame_GetCode(frame), *about = take_field(self, &self->about);
    *link = link_make((PyTypeObject *)args[0], func, ref, args[4], code, PyFrame_GetLasti(frame), about);
    Py_DECREF(ref);
    Py_DECREF(code);
    Py_DECREF(about);
    return *link == NULL ? NULL : make_handle(self->state, (PyTypeObject *)args[1], (Link *)*link);
}

static PyObject *
emission_join(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    Emission *self = (Emission *)op;
    if (count != 6 || !PyType_Check(args[0]) || !is_link_type((PyTypeObject *)args[0]) || !PyType_Check(args[1])
        || !PyType_IsSubtype((PyTypeObject *)args[1], &_PyWeakref_RefType) || !PyLong_CheckExact(args[4])
        || !PyFrame_Check(args[5])) {
        PyErr_SetString(PyExc_TypeError, "_join() takes a type of links, one of handles, a receiver, whether it may hold anything, a priority and a frame");
        return NULL;
    }
    PyObject *object, *link = NULL, *func = usual_function(args[2], args[3] == Py_True, &object);
    if (func == NULL) {
        Py_RETURN_NONE;
    }
    /* The handle first: nothing is connected if there is no memory for it. */
    PyObject *handle = make_link(self, args, func, object, &link);
    int done = handle == NULL ? -1 : append_link(self, link);
    if (done == 0) {
        PyObject *added = PyObject_CallMethodOneArg(op, self->state->str_add, link);
        done = added == NULL ? -1 : 1;
        Py_XDECREF(added);
    }
    Py_XDECREF(link);
    if (done < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

#endif
