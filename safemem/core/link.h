/* Links: what a connection is to the signal that has it, see _emission.py for what it does.

   A link may be switched off at any moment, so each of its fields is read on its own, when its turn comes. */

#ifndef SAFEMEM_LINK_H
#define SAFEMEM_LINK_H

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

static void link_dealloc(PyObject *);

/* Whether it is a class of links, of our own most of the time; asks nothing that goes when the module is collected. */
static inline int
is_link_type(PyTypeObject *type)
{
    while (type != NULL && type->tp_dealloc != link_dealloc) {
        type = type->tp_base;
    }
    return type != NULL;
}

static inline int
is_link(PyObject *object)
{
    return is_link_type(Py_TYPE(object));
}

/* A new link; the priority is an int, the code a code object. */
static PyObject *
link_make(PyTypeObject *type, PyObject *func, PyObject *ref, PyObject *priority, PyObject *code, int instruction, PyObject *about)
{
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
    return link_make(type, func, ref, priority, code, instruction, about);
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
    PyObject *instruction = PyLong_FromLong(self->instruction);
    PyObject *origin = instruction == NULL ? NULL : PyTuple_Pack(4, self->priority, self->code, instruction, self->about);
    Py_XDECREF(instruction);
    return origin;
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

#endif
