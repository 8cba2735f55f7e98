/* The call path of decorated functions: CallCore, see _calling.py for what they do. */

#ifndef SAFEMEM_CALLING_H
#define SAFEMEM_CALLING_H

#include "handles.h"
#include "parts.h"
#include "ready.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *key;    /* makes keys; NULL: the arguments do */
    PyObject *store;  /* of a plain function, once it is known to be one; never changes then */
    Core *cache;      /* where results can be looked up here; NULL: only by asking the store, or an owner's memo */
    PyObject *owners; /* knows the memo of each owner */
    PyObject *module;
    State *state;
    uint8_t typed;
    uint8_t awaited;
} Call;

#define MOST_SORTED 12 /* keyword arguments */

/* -- calling out ------------------------------------------------------------------------------------------------------------------ */

static PyObject *
named_arguments(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *named = PyDict_New();
    for (Py_ssize_t i = 0; named != NULL && names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyDict_SetItem(named, PyTuple_GET_ITEM(names, i), args[count + i]) < 0) {
            Py_CLEAR(named);
        }
    }
    return named;
}

static PyObject *
positional_arguments(PyObject *const *args, Py_ssize_t count)
{
    PyObject *all = PyTuple_New(count);
    for (Py_ssize_t i = 0; all != NULL && i < count; i++) {
        PyTuple_SET_ITEM(all, i, Py_NewRef(args[i]));
    }
    return all;
}

/* Call a method of the public class: method([owner,] [key,] args, kwargs). */
static NOINLINE PyObject *
call_out(Call *self, PyObject *method, PyObject *owner, PyObject *key, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *stack[5] = {(PyObject *)self};
    size_t used = 1;
    if (owner != NULL) {
        stack[used++] = owner;
    }
    if (key != NULL) {
        stack[used++] = key;
    }
    PyObject *all = positional_arguments(args, count), *named = all == NULL ? NULL : named_arguments(args, count, names);
    PyObject *result = NULL;
    if (named != NULL) {
        stack[used++] = all;
        stack[used++] = named;
        result = PyObject_VectorcallMethod(method, stack, used, NULL);
    }
    Py_XDECREF(all);
    Py_XDECREF(named);
    return result;
}

/* -- looking up ---------------------------------------------------------------------------------------------------------------------- */

/* Whether names can be sorted here: few enough for a simple way, and none with a comparison of its own. */
static inline int
are_plain(PyObject *names)
{
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (UNLIKELY(!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, i)))) {
            return 0;
        }
    }
    return count <= MOST_SORTED;
}

/* The key of a call as call_key() makes it. */
static PyObject *
plain_key(Call *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    State *state = self->state;
    PyObject *all = positional_arguments(args, count), *named = all == NULL ? NULL : named_arguments(args, count, names);
    PyObject *typed = named == NULL ? NULL : PyTuple_Pack(1, state->str_typed), *key = NULL;
    if (typed != NULL) {
        PyObject *stack[] = {all, named, self->typed ? Py_True : Py_False};
        key = PyObject_Vectorcall(state->call_key, stack, 2, typed);
    }
    Py_XDECREF(all);
    Py_XDECREF(named);
    Py_XDECREF(typed);
    return key;
}

/* The result kept for a key that a function makes, the user's or call_key(); as look_up_parts(). */
static NOINLINE PyObject *
recall_by_function(Call *self, Core *cache, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **key)
{
    if (Py_EnterRecursiveCall(" while making the key of a cached call")) {
        return NULL;
    }
    *key = self->key == NULL ? plain_key(self, args, count, names) : PyObject_Vectorcall(self->key, args, (size_t)count, names);
    Py_LeaveRecursiveCall();
    int64_t hash = *key == NULL ? -1 : hash_key(cache, *key);
    if (hash < 0) {
        return NULL;
    }
    return look_up_any(cache, *key, (uint32_t)hash);
}

static NOINLINE PyObject *
recall_parts(Call *self, Core *cache, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **key)
{
    if (self->key != NULL || (names != NULL && !are_plain(names))) {
        return recall_by_function(self, cache, args, count, names, key);
    }
    Parts parts;
    const Manner manner = {self->state->keywords, self->typed, 1};
    if (gather(&parts, manner, args, count, names) < 0) {
        return NULL;
    }
    Py_hash_t hash = parts_hash(&parts);
    PyObject *value = UNLIKELY(hash == -1) ? NULL : look_up_parts(cache, &parts, mix(cache, hash), key);
    parts_release(&parts, args);
    return value;
}

/* The same for the most frequent calls, for the compiler to write out: one argument, and one string or integer that is told by its type. */
static inline PyObject *
recall_one(Core *cache, PyObject *const *args, PyObject **key)
{
    Parts parts;
    parts.at = args;
    parts.count = 1;
    Py_hash_t hash = parts_hash(&parts);
    return UNLIKELY(hash == -1) ? NULL : look_up_parts(cache, &parts, mix(cache, hash), key);
}

static inline PyObject *
recall_typed(Core *cache, PyObject *arg, PyObject **key)
{
    Parts parts;
    parts.gathered[0] = arg;
    parts.gathered[1] = (PyObject *)Py_TYPE(arg);
    parts.at = parts.gathered;
    parts.count = 2;
    Py_hash_t hash = parts_hash(&parts);
    return UNLIKELY(hash == -1) ? NULL : look_up_parts(cache, &parts, mix(cache, hash), key);
}

/* The result kept for a call; as look_up_parts(). */
static inline PyObject *
recall(Call *self, Core *cache, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **key)
{
    if (LIKELY(count == 1 && names == NULL && self->key == NULL)) {
        if (LIKELY(!self->typed)) {
            return recall_one(cache, args, key);
        }
        if (LIKELY(PyUnicode_CheckExact(args[0]) || PyLong_CheckExact(args[0]))) {
            return recall_typed(cache, args[0], key);
        }
    }
    return recall_parts(self, cache, args, count, names, key);
}

/* Answer a call out of a cache, or have the result made; takes over the reference to the cache. */
static inline PyObject *
answer(Call *self, Core *cache, PyObject *owner, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *key = NULL;
    PyObject *value = recall(self, cache, args, count, names, &key);
    Py_DECREF(cache);
    if (LIKELY(value != NULL)) {
        Py_XDECREF(key);
        return self->awaited ? ready_new(self->state, (PyObject *)self, value) : value;
    }
    if (key == NULL || PyErr_Occurred()) {
        Py_XDECREF(key);
        return NULL;
    }
    value = call_out(self, owner == NULL ? self->state->str_load : self->state->str_load_for, owner, key, args, count, names);
    Py_DECREF(key);
    return value;
}

/* -- methods --------------------------------------------------------------------------------------------------------------------------- */

static inline int
is_core(State *state, PyObject *object)
{
    PyTypeObject *base = Py_TYPE(object)->tp_base;
    return LIKELY(base == state->lru_type || base == state->ttl_type) || PyObject_TypeCheck(object, state->lru_type);
}

/* What the memo of a handle has for us to look into, a new reference. Where there is a GIL nothing can happen on the way. */
static inline PyObject *
cache_behind(State *state, PyObject *handle)
{
#ifdef Py_GIL_DISABLED
    PyObject *memo = take_slot(handle, state->handle_owned);
    PyObject *cache = memo != NULL && Py_TYPE(memo) == (PyTypeObject *)state->memo_type ? take_slot(memo, state->memo_direct) : NULL;
    Py_XDECREF(memo);
    return cache;
#else
    PyObject *memo = peek_slot(handle, state->handle_owned);
    return memo != NULL && Py_TYPE(memo) == (PyTypeObject *)state->memo_type ? take_slot(memo, state->memo_direct) : NULL;
#endif
}

/* The cache of an owner, a new reference. NULL: it has none, or none to look into from here, or an exception is set. */
static inline Core *
cache_of(Call *self, PyObject *owner)
{
    State *state = self->state;
    PyObject *owners = self->owners;
    PyObject *handle = owners == NULL ? NULL : find_handle(state, owners, owner);
    if (handle == NULL) {
        return NULL;
    }
    PyObject *cache = LIKELY(is_handle_of(state, handle, owners, owner)) ? cache_behind(state, handle) : NULL;
    Py_DECREF(handle);
    if (cache != NULL && UNLIKELY(!is_core(state, cache))) {
        Py_CLEAR(cache);
    }
    return (Core *)cache;
}

static inline PyObject *
call_method(Call *self, PyObject *owner, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Core *cache = cache_of(self, owner);
    if (LIKELY(cache != NULL)) {
        return answer(self, cache, owner, args, count, names);
    }
    return PyErr_Occurred() ? NULL : call_out(self, self->state->str_call_for, owner, NULL, args, count, names);
}

/* -- CallCore ---------------------------------------------------------------------------------------------------------------------------- */

static PyObject *
call_vectorcall(PyObject *op, PyObject *const *args, size_t flags, PyObject *names)
{
    Call *self = (Call *)op;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    Core *cache = LOAD_ACQUIRE(&self->cache);
    if (LIKELY(cache != NULL)) {
        Py_INCREF(cache);
        return answer(self, cache, NULL, args, count, names);
    }
    if (count > 0 && PyType_HasFeature(Py_TYPE(op), Py_TPFLAGS_METHOD_DESCRIPTOR)) {
        return call_method(self, args[0], args + 1, count - 1, names);
    }
    return call_out(self, self->state->str_dispatch, NULL, NULL, args, count, names);
}

static struct PyModuleDef native_module;

static PyObject *
call_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(names))
{
    PyObject *module = PyType_GetModuleByDef(type, &native_module);
    Call *self = module == NULL ? NULL : (Call *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->vectorcall = call_vectorcall;
        self->module = Py_NewRef(module);
        self->state = PyModule_GetState(module);
    }
    return (PyObject *)self;
}

static PyObject *
call_prepare(PyObject *op, PyObject *args, PyObject *names)
{
    static char *keywords[] = {"key", "typed", "awaited", "owners", NULL};
    Call *self = (Call *)op;
    PyObject *key, *owners;
    int typed, awaited;
    if (!PyArg_ParseTupleAndKeywords(args, names, "$OppO:_prepare", keywords, &key, &typed, &awaited, &owners)) {
        return NULL;
    }
    if (self->owners != NULL) {
        PyErr_SetString(PyExc_TypeError, "a decorated function cannot be initialised again");
        return NULL;
    }
    if (Py_TYPE(owners) != (PyTypeObject *)self->state->owners_type) {
        PyErr_Format(PyExc_TypeError, "owners must be Owners, got %R", owners);
        return NULL;
    }
    self->key = key == Py_None ? NULL : Py_NewRef(key);
    self->typed = (uint8_t)typed;
    self->awaited = (uint8_t)awaited;
    self->owners = Py_NewRef(owners);
    Py_RETURN_NONE;
}

static PyObject *
call_store(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *store = LOAD_ACQUIRE(&((Call *)op)->store);
    return Py_NewRef(store == NULL ? Py_None : store);
}

static int
call_set_store(PyObject *op, PyObject *store, void *Py_UNUSED(closure))
{
    Call *self = (Call *)op;
    if (store == NULL || LOAD_ACQUIRE(&self->store) != NULL) {
        PyErr_SetString(PyExc_AttributeError, "_store can be set only once");
        return -1;
    }
    PyObject *cache = PyObject_GetAttr(store, self->state->str_direct);
    if (cache == NULL) {
        return -1;
    }
    int first;
    Py_BEGIN_CRITICAL_SECTION(op);
    first = self->store == NULL; /* getting the attribute may have set it */
    if (first) {
        STORE_RELEASE(&self->store, Py_NewRef(store));
        if (PyObject_TypeCheck(cache, self->state->lru_type)) {
            STORE_RELEASE(&self->cache, (Core *)Py_NewRef(cache));
        }
    }
    Py_END_CRITICAL_SECTION();
    Py_DECREF(cache);
    if (!first) {
        PyErr_SetString(PyExc_AttributeError, "_store can be set only once");
    }
    return first ? 0 : -1;
}

static int
have_same_layout(PyTypeObject *one, PyTypeObject *other)
{
    return (PyType_IsSubtype(one, other) || PyType_IsSubtype(other, one)) && one->tp_basicsize == other->tp_basicsize &&
           one->tp_dictoffset == other->tp_dictoffset && one->tp_weaklistoffset == other->tp_weaklistoffset &&
           one->tp_dealloc == other->tp_dealloc && one->tp_free == other->tp_free;
}

/* See to it that the attributes lie in a dict, and not as the class says. */
static int
call_take_attributes_out(PyObject *op)
{
    if (Py_TYPE(op)->tp_dictoffset == 0) {
        return 0;
    }
    PyObject *dict = PyObject_GenericGetDict(op, NULL);
#if PY_VERSION_HEX >= 0x030D0000 /* where that dict may be but a view of what lies in the object */
    if (dict != NULL) {
        Py_SETREF(dict, PyDict_Copy(dict));
    }
    if (dict != NULL && PyObject_GenericSetDict(op, dict, NULL) < 0) {
        Py_CLEAR(dict);
    }
#endif
    Py_XDECREF(dict);
    return dict == NULL ? -1 : 0;
}

/* Become an object of a class above or below that has the same layout. What __class__ does, which immutable classes forbid. */
static PyObject *
call_turn_into(PyObject *op, PyObject *cls)
{
    if (!PyType_Check(cls) || !have_same_layout((PyTypeObject *)cls, Py_TYPE(op))) {
        PyErr_Format(PyExc_TypeError, "%R cannot turn into %R", op, cls);
        return NULL;
    }
    if (call_take_attributes_out(op) < 0) {
        return NULL;
    }
    PyTypeObject *old;
    Py_BEGIN_CRITICAL_SECTION(op);
    old = Py_TYPE(op); /* another thread may have turned it into something else, of the same layout too */
    Py_SET_TYPE(op, (PyTypeObject *)Py_NewRef(cls));
    Py_END_CRITICAL_SECTION();
    Py_DECREF(old);
    Py_RETURN_NONE;
}

static int
call_traverse(PyObject *op, visitproc visit, void *arg)
{
    Call *self = (Call *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->key);
    Py_VISIT(self->store);
    Py_VISIT(self->cache);
    Py_VISIT(self->owners);
    Py_VISIT(self->module);
    return 0;
}

static int
call_clear(PyObject *op)
{
    Call *self = (Call *)op;
    Py_CLEAR(self->cache);
    Py_CLEAR(self->store);
    Py_CLEAR(self->key);
    Py_CLEAR(self->owners);
    return 0;
}

static void
call_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, call_dealloc)
    call_clear(op);
    Py_CLEAR(((Call *)op)->module);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMethodDef call_methods[] = {
    {"_turn_into", call_turn_into, METH_O, NULL},
    {"_prepare", (PyCFunction)(void (*)(void))call_prepare, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef call_getset[] = {
    {"_store", call_store, call_set_store, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef call_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Call, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot call_slots[] = {
    {Py_tp_doc, "What a decorated function does when it is called."},
    {Py_tp_new, call_new},
    {Py_tp_dealloc, call_dealloc},
    {Py_tp_traverse, call_traverse},
    {Py_tp_clear, call_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, call_methods},
    {Py_tp_getset, call_getset},
    {Py_tp_members, call_members},
    {0, NULL},
};

#define CALL_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL)

static PyType_Spec call_spec = {"safemem.core._native.CallCore", sizeof(Call), 0, CALL_FLAGS, call_slots};

#endif
