/* Changes of trees, each in one step: all is looked up and got ready before, and nobody's code runs in the middle. */

#ifndef SAFEMEM_MOVING_H
#define SAFEMEM_MOVING_H

#include "member.h"

enum { MOVED, CIRCLE, TWICE, NO_MEMORY }; /* outcomes; no exception is set */

enum { COMES = 1, ABOVE = 2, LOSES = 4 }; /* marks */

/* What children of a member have to come to it by. */
static inline PyObject *
way_to(const Member *member)
{
    return member->kin != NULL ? member->kin : member->room->family->here;
}

/* Make sure that a member can have children. Nothing is locked; the collector may run. */
static NOINLINE int
make_parent(Member *member)
{
    Room gone = {NULL, NULL, 0, 0};
    PyObject *here = member->kin == NULL ? PyWeakref_NewRef(member->node, NULL) : NULL;
    if (here == NULL && member->kin == NULL) {
        return -1;
    }
    LOCK_TREES();
    if (member->room->family != NULL && family_of(member) == NULL) {
        gone.family = member->room->family;
        member->room->family = NULL;
    }
    int able = family_reserve(member->room, 1) == 0;
    if (able && here != NULL) {
        PyObject *old = member->room->family->here; /* of a node that came back, or the same */
        member->room->family->here = here;
        here = old;
    }
    UNLOCK_TREES();
    Py_XDECREF(here);
    room_empty(&gone);
    if (!able) {
        PyErr_NoMemory();
    }
    return able ? 0 : -1;
}

/* Whether a member can have children at once. Something is locked. */
static inline int
is_parent(const Member *member)
{
    Family *family = member->room->family;
    return family != NULL && (member->kin != NULL || (family->here != NULL && LOAD_RELAXED(&((PyWeakReference *)family->here)->wr_object) == member->node));
}

/* Have a child come to its parent by another way; the old one is the caller's. */
static inline PyObject *
turn_to(Room *room, PyObject *way, Py_ssize_t place)
{
    PyObject *old = room->parent;
    room->parent = Py_XNewRef(way);
    room->place = (uint32_t)place;
    return old;
}

/* Whether a node is another one or above it. */
static int
is_above(PyObject *node, const Member *other, Held *held)
{
    Member member = *other;
    int more = 1;
    while (more > 0) {
        if (member.node == node) {
            return CIRCLE;
        }
        more = climb(&member, held);
    }
    return more < 0 ? NO_MEMORY : MOVED;
}

/* -- one child -------------------------------------------------------------------------------------------------------------------- */

/* Put a child somewhere among the others below a node that can have children. Something is locked. */
static int
move(const Member *to, const Member *child, Py_ssize_t index, Held *held)
{
    Room *room = child->room;
    if (child->node == to->node || (room->family != NULL && room->family->count > 0)) {
        int outcome = is_above(child->node, to, held);
        if (outcome != MOVED) {
            return outcome;
        }
    }
    Member old = *child;
    int had = climb(&old, held);
    Family *left = had > 0 ? family_of(&old) : NULL;
    Py_ssize_t place = left == NULL ? -1 : family_place(left, child->node, room->place);
    if (had < 0 || held_reserve(held) < 0 || (!(place >= 0 && old.room == to->room) && family_reserve(to->room, 1) < 0)) {
        return NO_MEMORY;
    }
    /* From here on nothing fails. */
    if (place >= 0) {
        family_remove(left, place);
    }
    else {
        Py_INCREF(child->node);
    }
    Family *family = to->room->family;
    if (index < 0) {
        index = index + family->count < 0 ? 0 : index + family->count;
    }
    else if (index > family->count) {
        index = family->count;
    }
    family_insert(family, index, child->node);
    held_add(held, turn_to(room, way_to(to), index));
    if (place >= 0 && old.room != to->room) {
        family_shrink(old.room);
    }
    return MOVED;
}

/* Take a child from its parent, or from one node only: 1; 0 if it has none, or another one; -1: no memory. Something is locked. */
static int
take_out(const Member *child, PyObject *from, Held *held)
{
    Member old = *child;
    int had = climb(&old, held);
    if (had < 0 || held_reserve(held) < 0) {
        return -1;
    }
    if (had == 0 || (from != NULL && old.node != from)) {
        return 0;
    }
    Family *left = family_of(&old);
    Py_ssize_t place = left == NULL ? -1 : family_place(left, child->node, child->room->place);
    held_add(held, turn_to(child->room, NULL, 0));
    if (place >= 0) {
        family_remove(left, place);
        family_shrink(old.room);
        Py_DECREF(child->node); /* the caller has another one */
    }
    return 1;
}

/* -- many children ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Member *at;
    Py_ssize_t count;
    PyObject **ways; /* by which they came to their parents */
    Member *losing;  /* those parents, each once */
    Py_ssize_t losers;
} Crowd;

/* Mark those that come, and find the ones who must not. */
static int
crowd_check(Crowd *crowd, const Member *to, Held *held, Py_ssize_t *offender)
{
    for (Py_ssize_t i = 0; i < crowd->count; i++) {
        if (crowd->at[i].room->marks & COMES) {
            return TWICE;
        }
        crowd->at[i].room->marks |= COMES;
    }
    Member member = *to;
    int more = 1;
    while (more > 0) {
        if (member.room->marks & COMES) {
            member.room->marks |= ABOVE;
        }
        more = climb(&member, held);
    }
    for (Py_ssize_t i = 0; i < crowd->count; i++) {
        if (crowd->at[i].room->marks & ABOVE) {
            *offender = i;
            return CIRCLE;
        }
    }
    return more < 0 ? NO_MEMORY : MOVED;
}

/* Find the parents that lose children, and have the places of all their children right. */
static int
crowd_find_losers(Crowd *crowd, Held *held)
{
    PyObject *last = NULL;
    for (Py_ssize_t i = 0; i < crowd->count; i++) {
        Member old = crowd->at[i];
        if (old.room->parent == last) { /* as its neighbour's, most of the time */
            continue;
        }
        last = old.room->parent;
        int had = climb(&old, held);
        if (had < 0) {
            return NO_MEMORY;
        }
        Family *family = had > 0 ? family_of(&old) : NULL;
        if (family == NULL || old.room->marks & LOSES) {
            continue;
        }
        old.room->marks |= LOSES;
        crowd->losing[crowd->losers++] = old;
        for (Py_ssize_t place = 0; place < family->count; place++) {
            if (is_roomy(family->at[place])) {
                room_behind(family->at[place])->place = (uint32_t)place;
            }
        }
    }
    return MOVED;
}

/* Take a child from where it is, leaving a gap. */
static void
leave_gap(const Member *child)
{
    Member old;
    PyObject *parent = parent_in(child->room, &old);
    Family *family = parent == NULL ? NULL : family_of(&old);
    Py_ssize_t place = family == NULL ? -1 : family_place(family, child->node, child->room->place);
    if (place >= 0) {
        family->at[place] = NULL;
    }
    else {
        Py_INCREF(child->node);
    }
    Py_XDECREF(parent); /* it is held */
}

static void
close_gaps(Room *room)
{
    Family *family = room->family;
    Py_ssize_t count = 0;
    for (Py_ssize_t place = 0; place < family->count; place++) {
        if (family->at[place] != NULL) {
            family->at[count++] = family->at[place];
        }
    }
    family->count = count;
}

/* Make all of them the last children of a node that can have children, in one step. Something is locked. */
static int
move_crowd(Crowd *crowd, const Member *to, Held *held, Py_ssize_t *offender)
{
    int outcome = crowd_check(crowd, to, held, offender);
    if (outcome == MOVED) {
        outcome = crowd_find_losers(crowd, held);
    }
    if (outcome == MOVED && family_reserve(to->room, crowd->count) < 0) {
        outcome = NO_MEMORY;
    }
    if (outcome == MOVED) { /* from here on nothing fails */
        for (Py_ssize_t i = 0; i < crowd->count; i++) {
            leave_gap(&crowd->at[i]);
        }
        for (Py_ssize_t i = 0; i < crowd->losers; i++) {
            close_gaps(crowd->losing[i].room);
        }
        Family *family = to->room->family;
        for (Py_ssize_t i = 0; i < crowd->count; i++) {
            crowd->ways[i] = turn_to(crowd->at[i].room, way_to(to), family->count);
            family->at[family->count++] = crowd->at[i].node;
        }
    }
    for (Py_ssize_t i = 0; i < crowd->count; i++) {
        crowd->at[i].room->marks = 0;
    }
    for (Py_ssize_t i = 0; i < crowd->losers; i++) {
        crowd->losing[i].room->marks = 0;
        if (outcome == MOVED && crowd->losing[i].room != to->room) {
            family_shrink(crowd->losing[i].room);
        }
    }
    return outcome;
}

#endif
