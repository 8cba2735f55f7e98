/* Emission: a signal's loop over its receivers, see _emission.py for what it does.

   An emission reads two fields of the signal and then walks a tuple that nobody changes. A link may be switched off at any moment, so its
   function is read when its turn comes. Everything here may run anybody's code; nothing is locked. */

#ifndef SAFEMEM_EMISSION_H
#define SAFEMEM_EMISSION_H

#include "handles.h"
#include "weak.h"

/* Fields are never NULL but after the collector has been at work; None is nothing. */
typedef struct {
    PyObject_HEAD
    PyObject *func; /* None while the link is switched off */
    PyObject *ref;
    PyObject *priority; /* this and what follows is the origin, which is read without a question */
    PyObject *code;
    PyObject *about;
    int instruction;
    PyObject *kept;
    char ended;
} Link;

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

/* What a field of an object holds, a new reference. */
static inline PyObject *
take_field(void *object, PyObject **field)
{
    PyObject *value;
    (void)object; /* where there is a GIL */
    Py_BEGIN_CRITICAL_SECTION(object);
    value = *field != NULL ? Py_NewRef(*field) : Py_NewRef(Py_None);
    Py_END_CRITICAL_SECTION();
    return value;
}

/* Put a value into a field; the old one is let go of after. */
static void
put_field(void *object, PyObject **field, PyObject *value)
{
    PyObject *old;
    (void)object;
    Py_BEGIN_CRITICAL_SECTION(object);
    old = *field;
    STORE_RELAXED(field, Py_NewRef(value)); /* there are readers that compare only */
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
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

/* What a link's reference leads to, a new reference: None if there is no reference, NULL if it is dead or an exception is set. */
static PyObject *
link_object(PyObject *ref)
{
    if (ref == Py_None) {
        return Py_NewRef(ref);
    }
    if (LIKELY(PyWeakref_CheckRefExact(ref))) {
        return referent(ref);
    }
    PyObject *object = PyObject_CallNoArgs(ref); /* a way, see safemem.observers.ways */
    if (object == Py_None) {
        Py_CLEAR(object);
    }
    return object;
}

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

static void link_dealloc(PyObject *);

/* Whether it is a link, of a class of our own most of the time; asks nothing that goes when the module is collected. */
static inline int
is_link(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    while (type != NULL && type->tp_dealloc != link_dealloc) {
        type = type->tp_base;
    }
    return type != NULL;
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

/* -- one for each instance ------------------------------------------------------------------------------------------------------- */

static PyObject *
emission_get(PyObject *op, PyObject *instance, PyObject *Py_UNUSED(type))
{
    Emission *self = (Emission *)op;
    if (instance == NULL || instance == Py_None) {
        return Py_NewRef(op);
    }
    State *state = self->state;
    PyObject *owners = take_field(self, &self->owners), *found = NULL;
    if (LIKELY(Py_TYPE(owners) == (PyTypeObject *)state->owners_type)) {
        PyObject *handle = find_handle(state, owners, instance);
        if (LIKELY(handle != NULL) && is_handle_of(state, handle, owners, instance)) {
            found = take_slot(handle, state->handle_owned);
        }
        Py_XDECREF(handle);
    }
    Py_DECREF(owners);
    if (LIKELY(found != NULL) || PyErr_Occurred()) {
        return found;
    }
    return PyObject_CallMethodOneArg(op, state->str_of, instance);
}

/* -- who listens ----------------------------------------------------------------------------------------------------------------- */

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
        if (!is_link(last) || !LOAD_RELAXED(&((Link *)last)->ended)) {
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

static PyObject *
emission_append(PyObject *op, PyObject *link)
{
    Emission *self = (Emission *)op;
    if (!is_link(link)) {
        PyErr_Format(PyExc_TypeError, "a link must be a Link, got %R", link);
        return NULL;
    }
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
            return PyErr_Occurred() ? NULL : PyBool_FromLong(done);
        }
    }
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

/* -- fields ----------------------------------------------------------------------------------------------------------------------- */

static PyObject *
get_field(PyObject *op, void *offset)
{
    return take_field(op, (PyObject **)((char *)op + (size_t)offset));
}

static int
set_field(PyObject *op, PyObject *value, void *offset)
{
    put_field(op, (PyObject **)((char *)op + (size_t)offset), value == NULL ? Py_None : value);
    return 0;
}

/* -- the type of connections -------------------------------------------------------------------------------------------------------- */

static PyObject *
link_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *func, *ref, *origin, *priority, *code, *about;
    int instruction;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "Link() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_UnpackTuple(args, "Link", 3, 3, &func, &ref, &origin)) {
        return NULL;
    }
    if (!PyTuple_CheckExact(origin)) {
        PyErr_Format(PyExc_TypeError, "origin must be a tuple, got %R", origin);
        return NULL;
    }
    if (!PyArg_ParseTuple(origin, "O!O!iO;origin must be (priority, code, instruction, about)", &PyLong_Type, &priority, &PyCode_Type, &code,
                          &instruction, &about)) {
        return NULL;
    }
    Link *self = (Link *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->func = Py_NewRef(func);
        self->ref = Py_NewRef(ref);
        self->priority = Py_NewRef(priority);
        self->code = Py_NewRef(code);
        self->about = Py_NewRef(about);
        self->instruction = instruction;
        self->kept = Py_NewRef(Py_None);
    }
    return (PyObject *)self;
}

static int
link_traverse(PyObject *op, visitproc visit, void *arg)
{
    Link *self = (Link *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->func);
    Py_VISIT(self->ref);
    Py_VISIT(self->priority);
    Py_VISIT(self->code);
    Py_VISIT(self->about);
    Py_VISIT(self->kept);
    return 0;
}

/* The origin stays: it is part of no cycle that the others are not part of, and is read without a question. */
static int
link_clear(PyObject *op)
{
    Link *self = (Link *)op;
    Py_CLEAR(self->kept); /* first, so that no finaliser can put the function back by ending a block */
    Py_CLEAR(self->func);
    Py_CLEAR(self->ref);
    return 0;
}

static void
link_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)link_clear(op);
    Py_CLEAR(((Link *)op)->priority);
    Py_CLEAR(((Link *)op)->code);
    Py_CLEAR(((Link *)op)->about);
    type->tp_free(op);
    Py_DECREF(type);
}

/* Whether the receiver may ever be called again: 1, 0, or -1 with an exception set. */
static int
is_live(Link *self)
{
    if (LOAD_RELAXED(&self->ended)) {
        return 0;
    }
    PyObject *ref = take_field(self, &self->ref), *object = link_object(ref);
    Py_DECREF(ref);
    Py_XDECREF(object);
    return object != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
}

static PyObject *
link_live(PyObject *op, PyObject *Py_UNUSED(none))
{
    int live = is_live((Link *)op);
    return live < 0 ? NULL : PyBool_FromLong(live);
}

static PyObject *
link_end(PyObject *op, PyObject *Py_UNUSED(none))
{
    Link *self = (Link *)op;
    int live = is_live(self);
    if (live < 0) { /* interrupted */
        return NULL;
    }
    STORE_RELAXED(&self->ended, 1);
    put_field(self, &self->func, Py_None);
    put_field(self, &self->kept, Py_None);
    PyObject *ref = take_field(self, &self->ref);
    if (ref != Py_None && !PyWeakref_CheckRefExact(ref)) {
        PyObject *done = PyObject_CallMethod(ref, "let_go", NULL);
        if (done == NULL) {
            Py_DECREF(ref);
            return NULL;
        }
        Py_DECREF(done);
    }
    Py_DECREF(ref);
    return PyBool_FromLong(live);
}

/* Made when asked for: as a tuple of its own it would be larger than the rest. */
static PyObject *
link_get_origin(PyObject *op, void *Py_UNUSED(closure))
{
    Link *self = (Link *)op;
    return Py_BuildValue("(OOiO)", self->priority, self->code, self->instruction, self->about);
}

static PyObject *
link_get_ended(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(LOAD_RELAXED(&((Link *)op)->ended));
}

static PyMethodDef link_methods[] = {
    {"live", link_live, METH_NOARGS, "Whether the receiver may ever be called again."},
    {"end", link_end, METH_NOARGS, "Switch the link off for good, and let go of the receiver; return whether it was live."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef link_fields[] = {
    {"func", get_field, set_field, NULL, (void *)offsetof(Link, func)},
    {"ref", get_field, set_field, NULL, (void *)offsetof(Link, ref)},
    {"origin", link_get_origin, NULL, NULL, NULL},
    {"kept", get_field, set_field, NULL, (void *)offsetof(Link, kept)},
    {"ended", link_get_ended, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot link_slots[] = {
    {Py_tp_doc, "One connection."},
    {Py_tp_new, link_new},
    {Py_tp_dealloc, link_dealloc},
    {Py_tp_traverse, link_traverse},
    {Py_tp_clear, link_clear},
    {Py_tp_methods, link_methods},
    {Py_tp_getset, link_fields},
    {0, NULL},
};

static PyType_Spec link_spec = {
    "safemem.core._native.LinkCore",
    sizeof(Link),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    link_slots,
};

/* -- the type of signals ------------------------------------------------------------------------------------------------------- */

static struct PyModuleDef native_module;

static PyObject *
emission_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    PyObject *module = PyType_GetModuleByDef(type, &native_module);
    State *state = module == NULL ? NULL : PyModule_GetState(module);
    if (state == NULL || state->emission_type == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        }
        return NULL;
    }
    Emission *self = (Emission *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->links = Py_NewRef(state->no_links);
    self->special = Py_NewRef(Py_None);
    self->owners = Py_NewRef(Py_None);
    self->about = Py_NewRef(Py_None);
    self->module = Py_NewRef(module);
    self->state = state;
    self->limit = 8;
    return (PyObject *)self;
}

static int
emission_traverse(PyObject *op, visitproc visit, void *arg)
{
    Emission *self = (Emission *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->links);
    Py_VISIT(self->special);
    Py_VISIT(self->owners);
    Py_VISIT(self->about);
    Py_VISIT(self->module);
    return 0;
}

/* A finaliser may emit what the collector is taking apart: it finds nobody. */
static int
emission_clear(PyObject *op)
{
    Emission *self = (Emission *)op;
    PyObject *none = self->state->no_links;
    Py_SETREF(self->links, Py_NewRef(none));
    Py_SETREF(self->special, Py_NewRef(Py_None));
    Py_SETREF(self->owners, Py_NewRef(Py_None));
    return 0;
}

static void
emission_dealloc(PyObject *op)
{
    Emission *self = (Emission *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->links);
    Py_CLEAR(self->special);
    Py_CLEAR(self->owners);
    Py_CLEAR(self->about);
    Py_CLEAR(self->module);
    type->tp_free(op);
    Py_DECREF(type);
}

/* Setting `_links`, which the loop takes for a tuple. */
static int
emission_set_links(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyTuple_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "_links must be a tuple");
        return -1;
    }
    put_field(op, &((Emission *)op)->links, value);
    return 0;
}

static PyObject *
emission_get_links(PyObject *op, void *Py_UNUSED(closure))
{
    return take_field(op, &((Emission *)op)->links);
}

/* `_limit`, which one thread may set while another one reads it. */
static int
emission_set_limit(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_limit must be an int");
        return -1;
    }
    Py_ssize_t limit = PyLong_AsSsize_t(value);
    if (limit == -1 && PyErr_Occurred()) {
        return -1;
    }
    STORE_RELAXED(&((Emission *)op)->limit, limit);
    return 0;
}

static PyObject *
emission_get_limit(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(LOAD_RELAXED(&((Emission *)op)->limit));
}

static PyMethodDef emission_methods[] = {
    {"emit", (PyCFunction)(void (*)(void))emission_emit, METH_FASTCALL | METH_KEYWORDS, emit_doc},
    {"_append", emission_append, METH_O, NULL},
    {"_swap", (PyCFunction)(void (*)(void))emission_swap, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef emission_fields[] = {
    {"_links", emission_get_links, emission_set_links, NULL, NULL},
    {"_special", get_field, set_field, NULL, (void *)offsetof(Emission, special)},
    {"_owners", get_field, set_field, NULL, (void *)offsetof(Emission, owners)},
    {"_about", get_field, set_field, NULL, (void *)offsetof(Emission, about)},
    {"_limit", emission_get_limit, emission_set_limit, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot emission_slots[] = {
    {Py_tp_doc, "The hot protocol of a signal: `emit`, and `__get__` for signals of instances."},
    {Py_tp_new, emission_new},
    {Py_tp_dealloc, emission_dealloc},
    {Py_tp_traverse, emission_traverse},
    {Py_tp_clear, emission_clear},
    {Py_tp_descr_get, emission_get},
    {Py_tp_methods, emission_methods},
    {Py_tp_getset, emission_fields},
    {0, NULL},
};

static PyType_Spec emission_spec = {
    "safemem.core._native.EmissionCore",
    sizeof(Emission),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    emission_slots,
};

#endif
