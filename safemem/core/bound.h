/* A decorated method bound to its owner: BoundCore, see _calling.py for what it does. */

#ifndef SAFEMEM_BOUND_H
#define SAFEMEM_BOUND_H

#include "calling.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function; /* a Call */
    PyObject *owner;
    PyObject *weakrefs;
} Bound;

static PyObject *
bound_vectorcall(PyObject *op, PyObject *const *args, size_t flags, PyObject *names)
{
    Bound *self = (Bound *)op;
    PyObject *function = Py_XNewRef(self->function), *owner = Py_XNewRef(self->owner); /* whatever becomes of this object meanwhile */
    PyObject *result = NULL;
    if (function != NULL && owner != NULL) {
        result = call_method((Call *)function, owner, args, PyVectorcall_NARGS(flags), names);
    }
    else {
        PyErr_SetString(PyExc_ReferenceError, "the bound method has been taken apart by the garbage collector");
    }
    Py_XDECREF(function);
    Py_XDECREF(owner);
    return result;
}

static PyObject *
bound_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    static char *keywords[] = {"function", "owner", NULL};
    PyObject *function, *owner, *module = PyType_GetModuleByDef(type, &native_module);
    if (module == NULL || !PyArg_ParseTupleAndKeywords(args, names, "OO", keywords, &function, &owner)) {
        return NULL;
    }
    if (!PyObject_TypeCheck(function, ((State *)PyModule_GetState(module))->call_type)) {
        PyErr_Format(PyExc_TypeError, "function must be a cached function, got %R", function);
        return NULL;
    }
    Bound *self = (Bound *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->vectorcall = bound_vectorcall;
        self->function = Py_NewRef(function);
        self->owner = Py_NewRef(owner);
    }
    return (PyObject *)self;
}

static int
bound_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((Bound *)op)->function);
    Py_VISIT(((Bound *)op)->owner);
    return 0;
}

static int
bound_clear(PyObject *op)
{
    Py_CLEAR(((Bound *)op)->function);
    Py_CLEAR(((Bound *)op)->owner);
    return 0;
}

static void
bound_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, bound_dealloc)
    if (((Bound *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    bound_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMemberDef bound_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Bound, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Bound, weakrefs), READONLY, NULL},
    {"__func__", T_OBJECT, offsetof(Bound, function), READONLY, NULL},
    {"__self__", T_OBJECT, offsetof(Bound, owner), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot bound_slots[] = {
    {Py_tp_doc, "A decorated function bound to an owner."},
    {Py_tp_new, bound_new},
    {Py_tp_dealloc, bound_dealloc},
    {Py_tp_traverse, bound_traverse},
    {Py_tp_clear, bound_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, bound_members},
    {0, NULL},
};

static PyType_Spec bound_spec = {"safemem.core._native.BoundCore", sizeof(Bound), 0, CALL_FLAGS, bound_slots};

#endif
