/* Signals: the type whose emissions are in emission.h and whose links in joining.h; a signal for each instance. */

#ifndef SAFEMEM_SIGNAL_H
#define SAFEMEM_SIGNAL_H

#include "handles.h"
#include "joining.h"

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
    {"_join", (PyCFunction)(void (*)(void))emission_join, METH_FASTCALL, NULL},
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
