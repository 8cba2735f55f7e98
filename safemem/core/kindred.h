/* What a node has for parent and children, and how that is changed: the functions of the module. */

#ifndef SAFEMEM_KINDRED_H
#define SAFEMEM_KINDRED_H

#include "tree.h"

/* -- reading ---------------------------------------------------------------------------------------------------------------------- */

static PyObject *
native_parent_of(PyObject *module, PyObject *node)
{
    Member member, parent;
    int found = member_find(PyModule_GetState(module), node, 0, &member);
    if (found <= 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None);
    }
    LOCK_TREES();
    PyObject *above = parent_in(member.room, &parent);
    UNLOCK_TREES();
    member_release(&member);
    return above != NULL ? above : Py_NewRef(Py_None);
}

static inline Py_ssize_t
count_children(const Member *member, int all)
{
    Family *family = all ? member->room->family : family_of(member);
    return family == NULL ? 0 : family->count;
}

/* The children as a tuple; all: also those that the collector is parting from the node. */
static PyObject *
list_children(State *state, PyObject *node, int all)
{
    Member member;
    int found = member_find(state, node, 0, &member);
    if (found <= 0) {
        return found < 0 ? NULL : PyTuple_New(0);
    }
    PyObject *children = NULL;
    LOCK_TREES();
    Py_ssize_t count = count_children(&member, all);
    UNLOCK_TREES();
    for (int done = 0; !done;) {
        children = PyTuple_New(count); /* the collector may run */
        if (children == NULL) {
            break;
        }
        LOCK_TREES();
        Py_ssize_t now = count_children(&member, all);
        done = now == count;
        for (Py_ssize_t i = 0; done && i < count; i++) {
            PyTuple_SET_ITEM(children, i, Py_NewRef(member.room->family->at[i]));
        }
        UNLOCK_TREES();
        if (!done) {
            Py_DECREF(children);
            count = now;
        }
    }
    member_release(&member);
    return children;
}

static PyObject *
native_children_of(PyObject *module, PyObject *node)
{
    return list_children(PyModule_GetState(module), node, 0);
}

static PyObject *
native_held_children(PyObject *module, PyObject *node)
{
    return list_children(PyModule_GetState(module), node, 1);
}

/* The node and its ancestors, the root last, as they are at one moment. */
static PyObject *
native_lineage(PyObject *module, PyObject *node)
{
    Member member;
    Held held;
    int found = member_find(PyModule_GetState(module), node, 0, &member);
    if (found < 0) {
        return NULL;
    }
    Member first = member;
    held_init(&held);
    LOCK_TREES();
    while (found > 0) {
        found = climb(&member, &held);
    }
    UNLOCK_TREES();
    PyObject *line = found < 0 ? PyErr_NoMemory() : PyList_New(held.count + 1);
    if (line != NULL) {
        PyList_SET_ITEM(line, 0, Py_NewRef(node));
        for (Py_ssize_t i = 0; i < held.count; i++) {
            PyList_SET_ITEM(line, i + 1, Py_NewRef(held.at[i]));
        }
    }
    held_release(&held);
    member_release(&first);
    return line;
}

/* -- changes ---------------------------------------------------------------------------------------------------------------------- */

static PyObject *
native_adopt(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    Py_ssize_t index = PY_SSIZE_T_MAX;
    if (count < 2 || count > 3 || !is_node(state, args[0]) || !is_node(state, args[1])) {
        PyErr_SetString(PyExc_TypeError, "adopt() takes two nodes and an index");
        return NULL;
    }
    if (count == 3 && args[2] != Py_None) {
        index = PyNumber_AsSsize_t(args[2], NULL);
        if (index == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    return adopt(state, args[0], args[1], index) < 0 ? NULL : Py_NewRef(Py_None);
}

/* Take a node from its parent: 1; 0 if it has none, or another one than was said; -1 with an exception set. */
static int
leave(State *state, PyObject *child, PyObject *from)
{
    Member member;
    int found = member_find(state, child, 0, &member);
    if (found <= 0) {
        return found;
    }
    Held held;
    held_init(&held);
    LOCK_TREES();
    int left = take_out(&member, from, &held);
    UNLOCK_TREES();
    held_release(&held);
    member_release(&member);
    if (left < 0) {
        PyErr_NoMemory();
    }
    return left;
}

static PyObject *
native_leave(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "leave() takes a node, and the one to leave");
        return NULL;
    }
    int left = leave(PyModule_GetState(module), args[0], count == 2 && args[1] != Py_None ? args[1] : NULL);
    return left < 0 ? NULL : PyBool_FromLong(left);
}

static PyObject *
native_set_parent(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "set_parent() takes a node and its parent");
        return NULL;
    }
    PyObject *node = args[0], *parent = args[1];
    if (parent == Py_None) {
        return leave(state, node, NULL) < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (!is_node(state, parent)) {
        refuse(state, "parent", parent, " or None");
        return NULL;
    }
    Member member, old = {NULL, NULL, NULL};
    int found = member_find(state, node, 0, &member);
    if (found < 0) {
        return NULL;
    }
    if (found > 0) {
        LOCK_TREES();
        PyObject *above = parent_in(member.room, &old);
        UNLOCK_TREES();
        member_release(&member);
        int same = above == parent;
        Py_XDECREF(above);
        if (same) {
            Py_RETURN_NONE;
        }
    }
    return append_child(parent, node);
}

static int
crowd_take(State *state, Crowd *crowd, PyObject *children)
{
    Py_ssize_t count = PyTuple_GET_SIZE(children);
    size_t size = (size_t)(count > 0 ? count : 1);
    crowd->count = crowd->losers = 0;
    crowd->at = PyMem_Calloc(size, sizeof(Member));
    crowd->losing = PyMem_Calloc(size, sizeof(Member));
    crowd->ways = PyMem_Calloc(size, sizeof(PyObject *));
    if (crowd->at == NULL || crowd->losing == NULL || crowd->ways == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (member_find(state, PyTuple_GET_ITEM(children, i), 1, &crowd->at[i]) < 0) {
            return -1;
        }
        crowd->count++;
    }
    return 0;
}

static void
crowd_release(Crowd *crowd)
{
    for (Py_ssize_t i = 0; i < crowd->count; i++) {
        member_release(&crowd->at[i]);
        Py_XDECREF(crowd->ways[i]);
    }
    PyMem_Free(crowd->at);
    PyMem_Free(crowd->losing);
    PyMem_Free(crowd->ways);
}

/* Make the nodes of a tuple the last children of another one. */
static int
adopt_all(State *state, PyObject *node, PyObject *children)
{
    Crowd crowd;
    Member to = {NULL, NULL, NULL};
    Held held;
    int outcome = -1;
    Py_ssize_t offender = 0;
    held_init(&held);
    if (crowd_take(state, &crowd, children) == 0 && member_find(state, node, 1, &to) > 0) {
        while (outcome < 0) {
            LOCK_TREES();
            if (is_parent(&to)) {
                outcome = move_crowd(&crowd, &to, &held, &offender);
            }
            UNLOCK_TREES();
            if (outcome < 0 && make_parent(&to) < 0) {
                break;
            }
        }
    }
    held_release(&held);
    crowd_release(&crowd);
    member_release(&to);
    if (outcome == CIRCLE) {
        raise_by(state->circle, node, PyTuple_GET_ITEM(children, offender));
    }
    else if (outcome == TWICE) {
        PyObject *number = PyLong_FromSsize_t(PyTuple_GET_SIZE(children));
        if (number != NULL) {
            raise_by(state->twice, number, NULL);
            Py_DECREF(number);
        }
    }
    else if (outcome == NO_MEMORY) {
        PyErr_NoMemory();
    }
    return outcome == MOVED ? 0 : -1;
}

static PyObject *
native_adopt_all(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 2 || !is_node(state, args[0])) {
        PyErr_SetString(PyExc_TypeError, "adopt_all() takes a node and an iterable of nodes");
        return NULL;
    }
    PyObject *children = PySequence_Tuple(args[1]);
    if (children == NULL) {
        return NULL;
    }
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < PyTuple_GET_SIZE(children); i++) {
        if (!is_node(state, PyTuple_GET_ITEM(children, i))) {
            result = refuse(state, "child", PyTuple_GET_ITEM(children, i), "");
        }
    }
    if (result == 0 && PyTuple_GET_SIZE(children) > 0) {
        result = adopt_all(state, args[0], children);
    }
    Py_DECREF(children);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

/* -- pickles ---------------------------------------------------------------------------------------------------------------------- */

static PyObject *
native_shell_of(PyObject *module, PyObject *node)
{
    Member member;
    int found = member_find(PyModule_GetState(module), node, 0, &member);
    if (found < 0) {
        return NULL;
    }
    PyObject *shell = NULL;
    if (found > 0) {
        LOCK_TREES();
        Family *family = member.room->family;
        shell = family == NULL || family->shell == NULL ? NULL : referent(family->shell);
        UNLOCK_TREES();
        member_release(&member);
    }
    return shell != NULL ? shell : Py_NewRef(Py_None);
}

static PyObject *
native_keep_shell(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "keep_shell() takes a node and its shell");
        return NULL;
    }
    Member member;
    PyObject *ref = PyWeakref_NewRef(args[1], NULL);
    int found = ref == NULL ? -1 : member_find(PyModule_GetState(module), args[0], 0, &member);
    if (found > 0) {
        LOCK_TREES();
        Family *family = member.room->family;
        if (family != NULL) {
            PyObject *old = family->shell;
            family->shell = ref;
            ref = old;
        }
        UNLOCK_TREES();
        member_release(&member);
    }
    Py_XDECREF(ref);
    return found < 0 ? NULL : Py_NewRef(Py_None);
}

#define TREE_FUNCTIONS                                                                                                               \
    {"adopt", (PyCFunction)(void (*)(void))native_adopt, METH_FASTCALL, "Make a node a child of another one, at a place if that is given."},  \
    {"adopt_all", (PyCFunction)(void (*)(void))native_adopt_all, METH_FASTCALL, "Make nodes the last children of another one, in one step."}, \
    {"children_of", native_children_of, METH_O, "Return the children as they are now."},                                              \
    {"held_children", native_held_children, METH_O, "Return what the node holds for children, also while the collector takes it apart."},   \
    {"keep_shell", (PyCFunction)(void (*)(void))native_keep_shell, METH_FASTCALL, "Have a node known as something in a pickle."},            \
    {"leave", (PyCFunction)(void (*)(void))native_leave, METH_FASTCALL, "Take a node from its parent; return whether it had one."},          \
    {"lineage", native_lineage, METH_O, "Return the node and its ancestors, the root last, as they were at one moment."},             \
    {"make_room", native_make_room, METH_O, "Prepare a class of nodes that has just been made."},                                     \
    {"parent_of", native_parent_of, METH_O, "Return the parent, or None if there is none or it is dead."},                            \
    {"set_parent", (PyCFunction)(void (*)(void))native_set_parent, METH_FASTCALL, "Make a node the last child of another one; None detaches."}, \
    {"shell_of", native_shell_of, METH_O, "Return what the node is in a pickle that is just being written, or None."},

#endif
