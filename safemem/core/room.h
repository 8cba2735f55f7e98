/* Where a tree node keeps what it knows of its parent and its children: in a Room.

   The room lies behind the node, in the same piece of memory, where the node's class allows it: `_tree.py` says what classes of nodes may
   look like, and a base class with fields of its own would not go with half of them. So these are no fields: the allocator of such a class
   takes a little more, and the function that frees is one of our own, by which the class is known, and which keeps the interpreter from
   making an object of another class one of this (see `compatible_for_assignment` in CPython). Other nodes have a Kin, see kin.h. */

#ifndef SAFEMEM_ROOM_H
#define SAFEMEM_ROOM_H

#include "weak.h"

/* The children of a node, and what is needed only where there are some. */
typedef struct {
    PyObject *here;  /* a weak reference to the node, which its children have; NULL: they have its Kin */
    PyObject *shell; /* a weak reference to what the node is in a pickle that is just being written, or NULL */
    Py_ssize_t count;
    Py_ssize_t capacity;
    PyObject *at[];
} Family;

typedef struct {
    PyObject *parent; /* `here` of the parent, or its Kin; NULL: there is none. The parent may be dead */
    Family *family;   /* NULL: there never was a child */
    uint32_t place;   /* among the siblings, or near it */
    uint32_t marks;   /* of a change that is just being made */
} Room;

/* One lock for all trees where there is no GIL; nobody's code runs while it is held. */
#ifdef Py_GIL_DISABLED
static PyMutex trees;
#define LOCK_TREES() PyMutex_Lock(&trees)
#define UNLOCK_TREES() PyMutex_Unlock(&trees)
#else
#define LOCK_TREES() ((void)0)
#define UNLOCK_TREES() ((void)0)
#endif

/* -- nodes with room ------------------------------------------------------------------------------------------------------------- */

static void
room_free(void *node)
{
    PyObject_GC_Del(node);
}

static inline int
is_roomy(PyObject *node)
{
    return Py_TYPE(node)->tp_free == room_free;
}

static inline Room *
room_behind(PyObject *node)
{
    return (Room *)((char *)node + Py_TYPE(node)->tp_basicsize);
}

#ifdef Py_TPFLAGS_INLINE_VALUES
/* Have the attributes of a class's nodes, of which there are none yet, in a dict: else they would lie where the room is. */
static NOINLINE void
give_up_inline_values(PyTypeObject *type)
{
    type->tp_flags &= ~Py_TPFLAGS_INLINE_VALUES;
    PyType_Modified(type);
}
#endif

static PyObject *
room_alloc(PyTypeObject *type, Py_ssize_t Py_UNUSED(items))
{
#if PY_VERSION_HEX >= 0x030C0000
#ifdef Py_TPFLAGS_INLINE_VALUES
    if (UNLIKELY(PyType_HasFeature(type, Py_TPFLAGS_INLINE_VALUES))) { /* a class made in C, which inherits this function */
        give_up_inline_values(type);
    }
#endif
    PyObject *node = PyUnstable_Object_GC_NewWithExtraData(type, sizeof(Room));
    if (node != NULL) {
        PyObject_GC_Track(node);
    }
#else
    /* The allocator looks at these fields only, and runs nobody's code once the node is known to the collector. */
    PyTypeObject larger;
    larger.tp_basicsize = type->tp_basicsize + (Py_ssize_t)sizeof(Room);
    larger.tp_itemsize = 0;
    larger.tp_flags = type->tp_flags & ~Py_TPFLAGS_HEAPTYPE;
    PyObject *node = PyType_GenericAlloc(&larger, 0);
    if (node != NULL) {
        Py_SET_TYPE(node, (PyTypeObject *)Py_NewRef(type));
    }
#endif
    return node;
}

/* Let go of what a node knows when it goes, the last child first, as a list does. */
static void
room_empty(Room *room)
{
    Family *family = room->family;
    room->family = NULL;
    Py_CLEAR(room->parent);
    if (family != NULL) {
        while (family->count > 0) {
            Py_DECREF(family->at[--family->count]);
        }
        Py_XDECREF(family->here);
        Py_XDECREF(family->shell);
        PyMem_Free(family);
    }
}

/* -- children -------------------------------------------------------------------------------------------------------------------- */

#define FAMILY_SIZE(capacity) (sizeof(Family) + (size_t)(capacity) * sizeof(PyObject *))

/* Have places for so many children: 0, or -1 with no exception set. */
static NOINLINE int
family_grow(Room *room, Py_ssize_t wanted)
{
    Family *family = room->family;
    /* Pieces of 64, 128 and 256 bytes first, then half as many again. */
    Py_ssize_t capacity = family == NULL ? 4 : family->capacity < 28 ? 2 * family->capacity + 4 : family->capacity + (family->capacity >> 1);
    if (capacity < wanted) {
        capacity = wanted;
    }
    if ((size_t)capacity > ((size_t)PY_SSIZE_T_MAX - sizeof(Family)) / sizeof(PyObject *)) {
        return -1;
    }
    Family *grown = PyMem_Realloc(family, FAMILY_SIZE(capacity));
    if (grown == NULL) {
        return -1;
    }
    if (family == NULL) {
        grown->here = grown->shell = NULL;
        grown->count = 0;
    }
    grown->capacity = capacity;
    room->family = grown;
    return 0;
}

/* How much memory a node has for its children. */
static inline size_t
family_size(const Room *room)
{
    return room->family == NULL ? 0 : FAMILY_SIZE(room->family->capacity);
}

static inline int
family_reserve(Room *room, Py_ssize_t more)
{
    Family *family = room->family;
    return LIKELY(family != NULL && family->capacity - family->count >= more) ? 0 : family_grow(room, (family == NULL ? 0 : family->count) + more);
}

/* Give memory back when most of the children have left. */
static void
family_shrink(Room *room)
{
    Family *family = room->family;
    if (family->capacity > 28 && family->count < family->capacity / 4) {
        Py_ssize_t capacity = family->capacity / 2;
        Family *smaller = PyMem_Realloc(family, FAMILY_SIZE(capacity));
        if (smaller != NULL) {
            smaller->capacity = capacity;
            room->family = smaller;
        }
    }
}

/* Where a child is: where it was last seen, at one of the ends, or else the nearest to there; -1: not here. */
static Py_ssize_t
family_place(Family *family, PyObject *child, uint32_t hint)
{
    Py_ssize_t count = family == NULL ? 0 : family->count, place = (Py_ssize_t)hint;
    if (count == 0) {
        return -1;
    }
    if (place < count && family->at[place] == child) {
        return place;
    }
    if (family->at[count - 1] == child) {
        return count - 1;
    }
    Py_ssize_t below = place < count ? place - 1 : count - 1, above = place + 1;
    while (below >= 0 || above < count) {
        if (below >= 0 && family->at[below--] == child) {
            return below + 1;
        }
        if (above < count && family->at[above++] == child) {
            return above - 1;
        }
    }
    return -1;
}

/* Put a child in its place, for which there is memory; the reference is taken over. */
static inline void
family_insert(Family *family, Py_ssize_t place, PyObject *child)
{
    memmove(&family->at[place + 1], &family->at[place], (size_t)(family->count - place) * sizeof(PyObject *));
    family->at[place] = child;
    family->count++;
}

/* Take a child out; the reference is the caller's. */
static inline void
family_remove(Family *family, Py_ssize_t place)
{
    family->count--;
    memmove(&family->at[place], &family->at[place + 1], (size_t)(family->count - place) * sizeof(PyObject *));
}

#endif
