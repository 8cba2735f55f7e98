/* Members of trees: a node and its Room, wherever that is; what is above; and what is let go of when nothing is locked any more. */

#ifndef SAFEMEM_MEMBER_H
#define SAFEMEM_MEMBER_H

#include "kin.h"

typedef struct {
    PyObject *node; /* borrowed */
    Room *room;
    PyObject *kin; /* what keeps the room; NULL if it lies behind the node */
} Member;

/* Fill in a member for a node: 1; 0 if it has no room and was not to get one; -1 with an exception set. */
static inline int
member_find(State *state, PyObject *node, int make, Member *member)
{
    member->node = node;
    member->kin = NULL;
    if (LIKELY(is_roomy(node))) {
        member->room = room_behind(node);
        return 1;
    }
    member->kin = make ? make_kin(state, node) : find_kin(state, node);
    if (member->kin == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    member->room = &((Kin *)member->kin)->room;
    return 1;
}

static inline void
member_release(Member *member)
{
    Py_XDECREF(member->kin);
}

/* The children of a node, or NULL. A node that its own finaliser brought back when the collector had cleared the references to it is not
   the parent of its children any more. */
static inline Family *
family_of(const Member *member)
{
    Family *family = member->room->family;
    if (family == NULL || (member->kin == NULL && family->count > 0 && LOAD_RELAXED(&((PyWeakReference *)family->here)->wr_object) != member->node)) {
        return NULL;
    }
    return family;
}

/* -- what is held for as long as something is locked ------------------------------------------------------------------------------ */

typedef struct {
    PyObject **at;
    Py_ssize_t count;
    Py_ssize_t capacity;
    PyObject *few[8];
} Held;

static inline void
held_init(Held *held)
{
    held->at = held->few;
    held->count = 0;
    held->capacity = 8;
}

/* Make sure that one more can be held: 0, or -1 with no exception set. */
static int
held_reserve(Held *held)
{
    if (LIKELY(held->count < held->capacity)) {
        return 0;
    }
    Py_ssize_t capacity = 2 * held->capacity;
    PyObject **at = PyMem_Realloc(held->at == held->few ? NULL : held->at, (size_t)capacity * sizeof(PyObject *));
    if (at == NULL) {
        return -1;
    }
    if (held->at == held->few) {
        memcpy(at, held->few, sizeof(held->few));
    }
    held->at = at;
    held->capacity = capacity;
    return 0;
}

/* Hold something, after held_reserve(); the reference is taken over. */
static inline void
held_add(Held *held, PyObject *object)
{
    held->at[held->count++] = object;
}

/* Let go; nothing is locked. */
static inline void
held_release(Held *held)
{
    while (held->count > 0) {
        Py_XDECREF(held->at[--held->count]);
    }
    if (held->at != held->few) {
        PyMem_Free(held->at);
    }
}

/* -- above ------------------------------------------------------------------------------------------------------------------------ */

/* The parent of the node of a room, a new reference, and who it is; NULL: there is none, or it is dead. */
static PyObject *
parent_in(Room *room, Member *parent)
{
    PyObject *ref = room->parent;
    if (ref == NULL) {
        return NULL;
    }
    if (UNLIKELY(is_kin(ref))) {
        PyObject *watch = ((Kin *)ref)->watch;
        parent->node = watch == NULL ? NULL : referent(watch);
        parent->room = &((Kin *)ref)->room;
        parent->kin = ref; /* borrowed */
        return parent->node;
    }
    parent->node = referent(ref);
    parent->kin = NULL;
    parent->room = parent->node == NULL ? NULL : room_behind(parent->node);
    return parent->node;
}

/* The parent of a member, which is held: 1; 0: there is none; -1: no memory, with no exception set. */
static inline int
climb(Member *member, Held *held)
{
    Member parent;
    if (held_reserve(held) < 0) {
        return -1;
    }
    if (parent_in(member->room, &parent) == NULL) {
        return 0;
    }
    held_add(held, parent.node);
    *member = parent;
    return 1;
}

#endif
