/* Trees: the base type of nodes, and the functions that its properties and methods are made of, see _tree.py for what they do. */

#ifndef SAFEMEM_TREE_H
#define SAFEMEM_TREE_H

#include "args.h"
#include "moving.h"

static struct PyModuleDef native_module;

/* -- the base type ---------------------------------------------------------------------------------------------------------------- */

static int
tree_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return is_roomy(op) ? room_traverse(room_behind(op), visit, arg) : 0;
}

static int
tree_clear(PyObject *op)
{
    if (is_roomy(op)) {
        Room *room = room_behind(op), gone;
        LOCK_TREES();
        gone = *room;
        room->parent = NULL;
        room->family = NULL;
        UNLOCK_TREES();
        room_empty(&gone);
    }
    return 0;
}

/* Called within the dealloc of the class in Python, which sees to it that the stack does not grow with the depth of the tree. */
static void
tree_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (is_roomy(op)) {
        room_empty(room_behind(op));
    }
    type->tp_free(op);
    Py_DECREF(type);
}

static inline int
is_node(State *state, PyObject *object)
{
    return is_roomy(object) || PyObject_TypeCheck(object, state->tree_type);
}

/* Have a function of ours raise an exception. */
static NOINLINE void
raise_by(PyObject *function, PyObject *node, PyObject *child)
{
    PyObject *none = PyObject_CallFunctionObjArgs(function, node, child, NULL);
    Py_XDECREF(none);
}

static NOINLINE int
refuse(State *state, const char *name, PyObject *other, const char *besides)
{
    PyObject *none = PyObject_CallFunction(state->no_node, "sOs", name, other, besides);
    Py_XDECREF(none);
    return -1;
}

/* Make a node a child of another one, in one step, wherever it was. */
static NOINLINE int
adopt(State *state, PyObject *node, PyObject *child, Py_ssize_t index)
{
    Member to, member = {NULL, NULL, NULL};
    Held held;
    int outcome = -1;
    if (member_find(state, node, 1, &to) < 0) {
        return -1;
    }
    held_init(&held);
    if (member_find(state, child, 1, &member) > 0) {
        while (outcome < 0) {
            LOCK_TREES();
            if (is_parent(&to)) {
                outcome = move(&to, &member, index, &held);
            }
            UNLOCK_TREES();
            if (outcome < 0 && make_parent(&to) < 0) {
                break;
            }
        }
    }
    held_release(&held);
    member_release(&to);
    member_release(&member);
    if (outcome == CIRCLE) {
        raise_by(state->circle, node, child);
    }
    else if (outcome == NO_MEMORY) {
        PyErr_NoMemory();
    }
    return outcome == MOVED ? 0 : -1;
}

static PyObject *
append_child(PyObject *op, PyObject *child)
{
    if (LIKELY(is_roomy(op) && is_roomy(child) && op != child)) {
        /* The short way for a node that never had a parent nor a child. */
        Member to = {op, room_behind(op), NULL};
        Room *room = room_behind(child);
        int done = 0;
        LOCK_TREES();
        if (room->parent == NULL && room->family == NULL && is_parent(&to) && family_reserve(to.room, 1) == 0) {
            Family *family = to.room->family;
            (void)turn_to(room, family->here, family->count);
            family->at[family->count++] = Py_NewRef(child);
            done = 1;
        }
        UNLOCK_TREES();
        if (LIKELY(done)) {
            Py_RETURN_NONE;
        }
    }
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(op), &native_module);
    if (module == NULL) {
        return NULL;
    }
    State *state = PyModule_GetState(module);
    if (!is_node(state, child)) {
        refuse(state, "child", child, "");
        return NULL;
    }
    return adopt(state, op, child, PY_SSIZE_T_MAX) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(tree_append_doc,
             "append($self, /, child)\n--\n\n"
             "Make a node the last child, wherever it was before.\n"
             "\n"
             "ValueError if it is this node or one of its ancestors, TypeError if it is no node.");

static PyObject *
tree_append(PyObject *op, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"child"};
    static const Signature signature = {"TreeCore.append", parameters, 1, 1};
    PyObject *child;
    return parse(&signature, args, count, names, &child) < 0 ? NULL : append_child(op, child);
}

/* What the next class in line says, and the room. */
static PyObject *
tree_sizeof(PyObject *op, PyObject *Py_UNUSED(none))
{
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(op), &native_module);
    PyObject *type = module == NULL ? NULL : (PyObject *)((State *)PyModule_GetState(module))->tree_type;
    PyObject *next = type == NULL ? NULL : PyObject_CallFunctionObjArgs((PyObject *)&PySuper_Type, type, op, NULL);
    PyObject *size = next == NULL ? NULL : PyObject_CallMethod(next, "__sizeof__", NULL);
    Py_XDECREF(next);
    if (size == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
    }
    if (size != NULL && is_roomy(op)) {
        LOCK_TREES();
        size_t room = sizeof(Room) + family_size(room_behind(op));
        UNLOCK_TREES();
        PyObject *more = PyLong_FromSize_t(room);
        Py_SETREF(size, more == NULL ? NULL : PyNumber_Add(size, more));
        Py_XDECREF(more);
    }
    return size;
}

static PyMethodDef tree_methods[] = {
    {"__sizeof__", tree_sizeof, METH_NOARGS, "How many bytes the node takes, those for its children included."},
    {"append", (PyCFunction)(void (*)(void))tree_append, METH_FASTCALL | METH_KEYWORDS, tree_append_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tree_slots[] = {
    {Py_tp_doc, "The hot protocol of a node: `append`. The rest are functions, for properties to be made of."},
    {Py_tp_dealloc, tree_dealloc},
    {Py_tp_traverse, tree_traverse},
    {Py_tp_clear, tree_clear},
    {Py_tp_methods, tree_methods},
    {0, NULL},
};

/* It has no fields, so it goes with any other base class; see room.h. */
static PyType_Spec tree_spec = {
    "safemem.core._native.TreeCore",
    sizeof(PyObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    tree_slots,
};

/* Give a class of nodes room for what they know, if it can have it and has no nodes yet. */
static PyObject *
native_make_room(PyObject *module, PyObject *cls)
{
    State *state = PyModule_GetState(module);
    if (!PyType_Check(cls) || !PyType_IsSubtype((PyTypeObject *)cls, state->tree_type)) {
        PyErr_Format(PyExc_TypeError, "cls must be a subclass of TreeCore, got %R", cls);
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)cls, *base = type;
    while (base != NULL && base != state->tree_type) {
        base = base->tp_base;
    }
    if (base == NULL || type->tp_itemsize != 0 || type->tp_weaklistoffset == 0 || !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) ||
        !PyType_IS_GC(type) || type->tp_alloc != PyType_GenericAlloc || type->tp_free != PyObject_GC_Del) {
        Py_RETURN_NONE;
    }
    PyObject *unused = PyObject_CallFunctionObjArgs(state->is_unused, cls, (PyObject *)state->tree_type, NULL);
    if (unused == NULL) {
        return NULL;
    }
    if (unused == Py_True) {
        type->tp_alloc = room_alloc;
        type->tp_free = room_free;
#ifdef Py_TPFLAGS_INLINE_VALUES
        give_up_inline_values(type);
#endif
        PyType_Modified(type);
    }
    Py_DECREF(unused);
    Py_RETURN_NONE;
}

#endif
