/* What the module holds: everything Python that the core needs to know by name. One for each interpreter. */

#ifndef SAFEMEM_STATE_H
#define SAFEMEM_STATE_H

#include "compat.h"

typedef struct {
    uint64_t seed; /* odd; multiplies hashes, see keys.h */

    /* Types of this module, dropped when the module is collected. */
    PyTypeObject *lru_type;
    PyTypeObject *ttl_type;
    PyTypeObject *tlru_type;
    PyTypeObject *weak_type;
    PyTypeObject *mailbox_type;
    PyTypeObject *walk_type;
    PyTypeObject *call_type;
    PyTypeObject *bound_type;
    PyTypeObject *ready_type;
    PyTypeObject *wrapper_type;
    PyTypeObject *owners_set_type;
    PyTypeObject *owners_dict_type;
    PyTypeObject *emission_type;
    PyTypeObject *link_type;
    PyTypeObject *tree_type;
    PyTypeObject *kin_type;
    PyTypeObject *account_type;

    /* Objects of others. They never lead back to this module and stay until it is freed, so that late finalisers find them. */
    PyObject *monotonic; /* time.monotonic */
    PyObject *clock_type;
    Py_ssize_t now_offset; /* of the slot Clock._now */
    PyObject *too_large;   /* ValueTooLargeError */
    PyObject *missing;     /* MISSING */
    PyObject *unweakable;  /* see _weakable.py */
    PyObject *never;       /* a deadline later than any time */
    PyObject *tell;        /* see _calls.py */
    PyObject *after;       /* see _calls.py */
    PyObject *life;        /* see _calls.py */
    PyObject *heappush;
    PyObject *heappop;
    PyObject *heapify;
    PyObject *infinity;
    PyObject *zero;
    PyObject *one;

    /* Of the call path, see calling.h. */
    PyObject *keywords; /* KEYWORDS */
    PyObject *mark;     /* the same for lru_wrapper, which nobody else has */
    PyObject *call_key;
    PyObject *owners_type;
    PyObject *handle_type;
    PyObject *memo_type;
    Py_ssize_t owners_attribute; /* where slots lie */
    Py_ssize_t owners_home;
    Py_ssize_t owners_table;
    Py_ssize_t handle_home;
    Py_ssize_t handle_owned;
    Py_ssize_t memo_direct;

    /* Of emission, see emission.h. */
    PyObject *no_links; /* () */
    PyObject *blame;    /* see _failures.py */
    PyObject *failure;
    PyObject *remember;

    /* Of trees, see room.h. */
    PyObject *getweakrefs;
    PyObject *check_weakable;
    PyObject *is_unused; /* see _rooms.py */
    PyObject *circle;    /* see _kinwords.py */
    PyObject *no_node;
    PyObject *nothing;
    PyObject *twice;
    PyObject *str_home;
    PyObject *str_node;
    PyObject *measure_all; /* see _account.py */
    PyObject *str_react;

    PyObject *cause_size;
    PyObject *cause_expired;
    PyObject *cause_explicit;
    PyObject *cause_replaced;
    PyObject *cause_collected;

    PyObject *str_now;
    PyObject *str_read;
    PyObject *str_own;
    PyObject *str_missing;
    PyObject *str_getsizeof;
    PyObject *str_make_room;
    PyObject *str_popitem_hooked;
    PyObject *str_expire;
    PyObject *str_pop;
    PyObject *str_pop_hooked;
    PyObject *str_setdefault;
    PyObject *str_dispatch;
    PyObject *str_call_for;
    PyObject *str_load;
    PyObject *str_load_for;
    PyObject *str_direct;
    PyObject *str_typed;
    PyObject *str_admit;
    PyObject *str_prune;
    PyObject *str_title;
    PyObject *str_of;
    PyObject *str_add;
    PyObject *str_origin;
} State;

/* Every object in the state, for traversing and clearing: types first, then those that stay until the end. */
#define STATE_TYPES(DO) DO(lru_type) DO(ttl_type) DO(tlru_type) DO(weak_type) DO(mailbox_type) DO(walk_type) DO(call_type) DO(bound_type) DO(ready_type) DO(wrapper_type) \
    DO(owners_set_type) DO(owners_dict_type) DO(emission_type) DO(link_type) DO(tree_type) DO(kin_type) DO(account_type)

#define STATE_OBJECTS(DO)                                                                                                             \
    DO(monotonic) DO(clock_type) DO(too_large) DO(missing) DO(unweakable) DO(never) DO(tell) DO(after) DO(life) DO(heappush) DO(heappop) DO(heapify)  \
    DO(infinity) DO(zero) DO(one) DO(cause_size) DO(cause_expired) DO(cause_explicit) DO(cause_replaced) DO(cause_collected) DO(str_now) DO(str_read)     \
    DO(str_own) DO(str_missing) DO(str_getsizeof) DO(str_make_room) DO(str_popitem_hooked) DO(str_expire) DO(str_pop) DO(str_pop_hooked)                 \
    DO(str_setdefault) DO(str_dispatch) DO(str_call_for) DO(str_load) DO(str_load_for) DO(str_direct) DO(keywords) DO(mark)           \
    DO(owners_type) DO(handle_type) DO(memo_type) DO(call_key) DO(str_typed)                                                                          \
    DO(no_links) DO(blame) DO(failure) DO(remember) DO(str_admit) DO(str_prune) DO(str_title) DO(str_of) DO(str_add) DO(str_origin) \
    DO(getweakrefs) DO(check_weakable) DO(is_unused) DO(circle) DO(no_node) DO(nothing) DO(twice) DO(str_home) DO(str_node) \
    DO(measure_all) DO(str_react)

#endif
