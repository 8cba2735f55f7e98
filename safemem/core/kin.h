/* Kin: the Room of a node that has none behind it, which lies in its `__dict__` or in a slot, or nowhere.

   It is the callback of a weak reference to its node, by which it lives if nothing else holds it, and can be found; when the node dies it is
   emptied. So the children may hold it, who come to their parent by it. */

#ifndef SAFEMEM_KIN_H
#define SAFEMEM_KIN_H

#include "room.h"

typedef struct {
    PyObject_HEAD
    Room room;
    PyObject *watch; /* the weak reference; NULL when the node has died */
    int homeless;    /* nothing else holds it, which the collector must not find out */
} Kin;

static void kin_dealloc(PyObject *);

static inline int
is_kin(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == kin_dealloc;
}

/* Whether it is that of a node, which is alive; it may have come along with a copy of another one's `__dict__`. */
static inline int
is_kin_of(PyObject *kin, PyObject *node)
{
    PyObject *watch = is_kin(kin) ? LOAD_RELAXED(&((Kin *)kin)->watch) : NULL;
    return watch != NULL && LOAD_RELAXED(&((PyWeakReference *)watch)->wr_object) == node;
}

static int
kin_empty(PyObject *op)
{
    Kin *self = (Kin *)op;
    LOCK_TREES();
    Room room = self->room;
    PyObject *watch = self->watch;
    self->room.parent = NULL;
    self->room.family = NULL;
    STORE_RELAXED(&self->watch, NULL);
    UNLOCK_TREES();
    room_empty(&room);
    Py_XDECREF(watch);
    return 0;
}

/* The node has died. The lock is never held while anything is let go of, so whoever has it does not wait for this. */
static PyObject *
kin_call(PyObject *op, PyObject *args, PyObject *Py_UNUSED(names))
{
    Kin *self = (Kin *)op;
    if (PyTuple_GET_SIZE(args) == 1 && PyTuple_GET_ITEM(args, 0) == self->watch && is_dead(self->watch)) {
        Py_INCREF(op);
        kin_empty(op);
        Py_DECREF(op);
    }
    Py_RETURN_NONE;
}

static int
room_traverse(Room *room, visitproc visit, void *arg)
{
    if (room->parent != NULL && is_kin(room->parent)) { /* a plain weak reference is part of no cycle */
        Py_VISIT(room->parent);
    }
    if (room->family != NULL) {
        for (Py_ssize_t i = room->family->count; --i >= 0;) {
            Py_VISIT(room->family->at[i]);
        }
    }
    return 0;
}

static int
kin_traverse(PyObject *op, visitproc visit, void *arg)
{
    Kin *self = (Kin *)op;
    Py_VISIT(Py_TYPE(op));
    if (!self->homeless) {
        Py_VISIT(self->watch);
    }
    return room_traverse(&self->room, visit, arg);
}

static void
kin_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    kin_empty(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
kin_reduce(PyObject *op, PyObject *Py_UNUSED(none))
{
    State *state = PyType_GetModuleState(Py_TYPE(op));
    return state == NULL ? NULL : Py_BuildValue("(O())", state->nothing);
}

static PyObject *
kin_sizeof(PyObject *op, PyObject *Py_UNUSED(none))
{
    LOCK_TREES();
    size_t size = sizeof(Kin) + family_size(&((Kin *)op)->room);
    UNLOCK_TREES();
    return PyLong_FromSize_t(size);
}

static PyMethodDef kin_methods[] = {
    {"__sizeof__", kin_sizeof, METH_NOARGS, "How many bytes it takes, those for its children included."},
    {"__reduce__", kin_reduce, METH_NOARGS, "What lies in a `__dict__` belongs to its node alone."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot kin_slots[] = {
    {Py_tp_doc, "What a tree node knows of its parent and its children."},
    {Py_tp_dealloc, kin_dealloc},
    {Py_tp_traverse, kin_traverse},
    {Py_tp_clear, kin_empty},
    {Py_tp_call, kin_call},
    {Py_tp_methods, kin_methods},
    {0, NULL},
};

static PyType_Spec kin_spec = {
    "safemem.core._native.Kin",
    sizeof(Kin),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kin_slots,
};

/* -- finding and making ---------------------------------------------------------------------------------------------------------- */

/* The Kin of a node, a new reference; NULL: it has none, or an exception is set. */
static NOINLINE PyObject *
find_kin(State *state, PyObject *node)
{
    PyObject *found = PyObject_GenericGetAttr(node, state->str_home);
    if (found != NULL && is_kin_of(found, node)) {
        return found;
    }
    Py_CLEAR(found);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return NULL;
        }
        PyErr_Clear();
    }
    PyObject *refs = PyObject_CallOneArg(state->getweakrefs, node);
    Py_ssize_t count = refs == NULL ? 0 : PyList_GET_SIZE(refs);
    for (Py_ssize_t i = 0; found == NULL && i < count; i++) {
        PyObject *ref = PyList_GET_ITEM(refs, i);
        PyObject *callback = PyWeakref_CheckRefExact(ref) ? LOAD_RELAXED(&((PyWeakReference *)ref)->wr_callback) : NULL;
        if (callback != NULL && is_kin_of(callback, node) && ((Kin *)callback)->watch == ref) {
            found = Py_NewRef(callback);
        }
    }
    Py_XDECREF(refs);
    return found;
}

#ifdef Py_GIL_DISABLED
static PyMutex kin_making; /* not that of the trees: the interpreter is asked a few things meanwhile, though nobody's code runs */
#define LOCK_MAKING() PyMutex_Lock(&kin_making)
#define UNLOCK_MAKING() PyMutex_Unlock(&kin_making)
#else
#define LOCK_MAKING() ((void)0)
#define UNLOCK_MAKING() ((void)0)
#endif

static PyObject *
new_kin(State *state, PyObject *node)
{
    if (state->kin_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        return NULL;
    }
    Kin *kin = PyObject_GC_New(Kin, state->kin_type);
    if (kin == NULL) {
        return NULL;
    }
    memset(&kin->room, 0, sizeof(Room));
    kin->homeless = 0;
    kin->watch = NULL;
    PyObject *watch = PyWeakref_NewRef(node, (PyObject *)kin);
    if (watch == NULL) {
        Py_DECREF(kin);
        return NULL;
    }
    kin->watch = watch;
    if (PyObject_GenericSetAttr(node, state->str_home, (PyObject *)kin) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            kin_empty((PyObject *)kin); /* it holds itself */
            Py_DECREF(kin);
            return NULL;
        }
        PyErr_Clear();
        kin->homeless = 1;
    }
    PyObject_GC_Track(kin);
    return (PyObject *)kin;
}

/* The Kin of a node, made if it has none; a new reference. */
static NOINLINE PyObject *
make_kin(State *state, PyObject *node)
{
    PyObject *done = PyObject_CallFunctionObjArgs(state->check_weakable, state->str_node, node, NULL);
    if (done == NULL) {
        return NULL;
    }
    Py_DECREF(done);
    PAUSE_COLLECTOR(); /* a finaliser might make one, too */
    LOCK_MAKING();
    PyObject *kin = find_kin(state, node);
    if (kin == NULL && !PyErr_Occurred()) {
        kin = new_kin(state, node);
    }
    UNLOCK_MAKING();
    RESUME_COLLECTOR();
    return kin;
}

#endif
