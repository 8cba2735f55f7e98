/* The native core: the same as in _pure.py, _timed.py, _weak.py, _identity.py, _calling.py, _emission.py, _tree.py and _heap.py, which are the reference.

   One translation unit; each header has one idea, and they build on each other from the bottom up:

       compat.h   what differs between versions and builds of CPython
       state.h    what the module holds
       table.h    index, entries, order of use; runs nobody's code
       arrays.h   what a table consists of
       weak.h     entries whose value is not kept alive
       keys.h     finding a key
       gone.h     what was removed: told and let go of when the table is whole
       moment.h   the clock
       due.h      what expires when
       item.h     a value on its way: weight and deadline
       store.h    storing
       shrink.h   giving memory back
       lookup.h   looking up
       args.h     arguments, as functions in Python take them
       reading.h  the hot protocol
       writing.h
       timed.h    what caches with a sense of time have more
       setup.h    making, configuring, freeing
       walk.h     iterators
       private.h  the private side of the seam
       copies.h   rows to copy and pickle
       check.h    whether all is whole
       caches.h   the types
       parts.h    the key of a call, without making it
       ready.h    a coroutine whose result is known
       handles.h  what belongs to an object and lies with it
       calling.h  decorated functions
       bound.h    methods of them
       link.h     connections
       emission.h  a signal's loop over them
       signal_type.h   signals
       owners.h   a table of objects found by identity
       identity.h  the containers over it
       lru_wrapper.h   functools.lru_cache's
       room.h     where a tree node keeps what it knows
       kin.h      the same for those that have no room
       member.h   nodes, and what is above them
       moving.h   changes of trees, each in one step
       tree.h     the base type of nodes
       kindred.h  what its properties and methods are made of
       heap.h     the audit's census and walk

   The rules that keep it right, in every function:

   * Users' code runs in hashing and comparing keys, in releasing a reference, in any allocation that the collector sees, and in
     whatever is called by name. After that the table is looked at again; a version counter tells whether it changed.
   * A change is prepared so that it cannot fail half-way, and nothing calls out in its middle. What was removed is released when the
     table is whole and nothing is locked.
   * Where there is no GIL, everything that touches the table holds the object's critical section. */

#include "caches.h"
#include "signal_type.h"
#include "identity.h"
#include "lru_wrapper.h"
#include "kindred.h"
#include "heap.h"

/* A class inherits slots for nothing but methods at a price: the interpreter's fast calls want a descriptor of the very class. */
static int
rebind(PyObject *cls, PyMethodDef *methods)
{
    for (PyMethodDef *method = methods; method->ml_name != NULL; method++) {
        if (method->ml_flags != (METH_FASTCALL | METH_KEYWORDS)) {
            continue;
        }
        PyObject *own = PyObject_GetAttrString(cls, "__dict__");
        int defined = own == NULL ? -1 : PyMapping_HasKeyString(own, method->ml_name);
        Py_XDECREF(own);
        if (defined < 0) {
            return -1;
        }
        if (defined) {
            continue;
        }
        PyObject *descriptor = PyDescr_NewMethod((PyTypeObject *)cls, method);
        if (descriptor == NULL || PyObject_SetAttrString(cls, method->ml_name, descriptor) < 0) {
            Py_XDECREF(descriptor);
            return -1;
        }
        Py_DECREF(descriptor);
    }
    return 0;
}

static PyObject *
native_rebind(PyObject *module, PyObject *cls)
{
    State *state = PyModule_GetState(module);
    if (!PyType_Check(cls) || !PyType_IsSubtype((PyTypeObject *)cls, state->lru_type)) {
        PyErr_Format(PyExc_TypeError, "cls must be a subclass of a core type, got %R", cls);
        return NULL;
    }
    if (rebind(cls, core_methods) < 0) {
        return NULL;
    }
    if (PyType_IsSubtype((PyTypeObject *)cls, state->ttl_type) && rebind(cls, ttl_methods) < 0) {
        return NULL;
    }
    return Py_NewRef(cls);
}

/* The flags that make calls fast are not inherited by classes in Python (HAVE_VECTORCALL from 3.12 on). */
static PyObject *
add_flags(PyObject *module, PyObject *cls, unsigned long flags)
{
    State *state = PyModule_GetState(module);
    if (!PyType_Check(cls) ||
        !(PyType_IsSubtype((PyTypeObject *)cls, state->call_type) || PyType_IsSubtype((PyTypeObject *)cls, state->bound_type))) {
        PyErr_Format(PyExc_TypeError, "cls must be a subclass of CallCore or BoundCore, got %R", cls);
        return NULL;
    }
    ((PyTypeObject *)cls)->tp_flags |= flags;
    PyType_Modified((PyTypeObject *)cls);
    return Py_NewRef(cls);
}

static PyObject *
native_callable(PyObject *module, PyObject *cls)
{
    return add_flags(module, cls, Py_TPFLAGS_HAVE_VECTORCALL);
}

static PyObject *
native_method_descriptor(PyObject *module, PyObject *cls)
{
    /* The interpreter specialises calls of methods for immutable descriptors only. */
    return add_flags(module, cls, Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE);
}

/* A cache whose `get` nobody has put anything in the place of. */
static PyObject *
native_direct(PyObject *module, PyObject *cache)
{
    if (!PyObject_TypeCheck(cache, ((State *)PyModule_GetState(module))->lru_type)) {
        Py_RETURN_NONE;
    }
    PyObject *get = PyObject_GetAttrString(cache, "get");
    if (get == NULL) {
        return NULL;
    }
    int plain = PyCFunction_Check(get) && PyCFunction_GET_FUNCTION(get) == (PyCFunction)(void (*)(void))core_get && PyCFunction_GET_SELF(get) == cache;
    Py_DECREF(get);
    return Py_NewRef(plain ? cache : Py_None);
}

static PyMethodDef native_functions[] = {
    {"callable_core", native_callable, METH_O,
     "callable_core($module, cls, /)\n--\n\nLet the interpreter call objects of a direct subclass of CallCore or BoundCore without packing arguments; return it."},
    {"direct", native_direct, METH_O,
     "direct($module, cache, /)\n--\n\nReturn `cache` if the core can look into it without calling its methods, else None."},
    {"method_descriptor", native_method_descriptor, METH_O,
     "method_descriptor($module, cls, /)\n--\n\nLet the interpreter call objects of this class, found in an owner's class, with the owner in front."},
    {"rebind", native_rebind, METH_O,
     "rebind($module, cls, /)\n--\n\nGive a direct subclass of a core type descriptors of its own for the methods it inherits; return it."},
    TREE_FUNCTIONS
    HEAP_FUNCTIONS
    {NULL, NULL, 0, NULL},
};

static PyObject *
take_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *object = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return object;
}

/* Where a slot of a class in Python lies in its instances. */
static int
find_slot(PyObject *cls, const char *name, Py_ssize_t *offset)
{
    PyObject *slot = PyObject_GetAttrString(cls, name);
    if (slot == NULL) {
        return -1;
    }
    int known = Py_TYPE(slot) == &PyMemberDescr_Type && ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX;
    if (known) {
        *offset = ((PyMemberDescrObject *)slot)->d_member->offset;
    }
    else {
        PyErr_Format(PyExc_ImportError, "%R.%s must be a slot", cls, name);
    }
    Py_DECREF(slot);
    return known ? 0 : -1;
}

static int
find_slots(State *state)
{
    if (find_slot(state->clock_type, "_now", &state->now_offset) < 0) {
        return -1;
    }
    if (find_slot(state->owners_type, "_attribute", &state->owners_attribute) < 0 ||
        find_slot(state->owners_type, "_table", &state->owners_table) < 0 || find_slot(state->owners_type, "home", &state->owners_home) < 0) {
        return -1;
    }
    if (find_slot(state->handle_type, "home", &state->handle_home) < 0 || find_slot(state->handle_type, "owned", &state->handle_owned) < 0) {
        return -1;
    }
    return find_slot(state->memo_type, "direct", &state->memo_direct);
}

/* Make sure that parts are hashed as tuples are, types among them. */
static int
check_tuple_hash(State *state)
{
    PyObject *key = Py_BuildValue("(sidOO)", "safemem", -1, 0.5, (PyObject *)&PyLong_Type, state->memo_type);
    if (key == NULL) {
        return -1;
    }
    Parts parts = {.at = &PyTuple_GET_ITEM(key, 0), .count = PyTuple_GET_SIZE(key)};
    int same = parts_hash(&parts) == PyObject_Hash(key);
    Py_DECREF(key);
    if (!same && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ImportError, "this Python hashes tuples in a way that the compiled core does not know");
    }
    return same ? 0 : -1;
}

/* A number that nobody knows, unless PYTHONHASHSEED says so: from the hash of a string. */
static int
make_seed(State *state)
{
    PyObject *text = PyUnicode_FromString("safemem's table");
    Py_hash_t hash = text == NULL ? -1 : PyObject_Hash(text);
    Py_XDECREF(text);
    if (hash == -1) {
        return -1;
    }
    uint64_t seed = (uint64_t)hash + UINT64_C(0x9E3779B97F4A7C15);
    seed = (seed ^ (seed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    seed = (seed ^ (seed >> 27)) * UINT64_C(0x94D049BB133111EB);
    state->seed = (seed ^ (seed >> 31)) | 1;
    return 0;
}

static int
import_objects(State *state)
{
    PyObject *causes = take_from("safemem.core._causes", "RemovalCause");
    if (causes == NULL) {
        return -1;
    }
    state->cause_size = PyObject_GetAttrString(causes, "SIZE");
    state->cause_expired = PyObject_GetAttrString(causes, "EXPIRED");
    state->cause_explicit = PyObject_GetAttrString(causes, "EXPLICIT");
    state->cause_replaced = PyObject_GetAttrString(causes, "REPLACED");
    state->cause_collected = PyObject_GetAttrString(causes, "COLLECTED");
    Py_DECREF(causes);
    state->monotonic = take_from("time", "monotonic");
    state->clock_type = take_from("safemem.core._clock", "Clock");
    state->too_large = take_from("safemem.errors", "ValueTooLargeError");
    state->missing = take_from("safemem._compat", "MISSING");
    state->unweakable = take_from("safemem.core._weakable", "unweakable");
    state->never = take_from("safemem.core._calls", "NEVER");
    state->tell = take_from("safemem.core._calls", "tell");
    state->after = take_from("safemem.core._calls", "after");
    state->life = take_from("safemem.core._calls", "life");
    state->keywords = take_from("safemem.core._calling", "KEYWORDS");
    state->call_key = take_from("safemem.core._calling", "call_key");
    state->memo_type = take_from("safemem.core._calling", "Memo");
    state->owners_type = take_from("safemem.core._owners", "Owners");
    state->handle_type = take_from("safemem.core._owners", "Handle");
    state->mark = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    state->heappush = take_from("_heapq", "heappush");
    state->heappop = take_from("_heapq", "heappop");
    state->heapify = take_from("_heapq", "heapify");
    state->infinity = PyFloat_FromDouble(Py_HUGE_VAL);
    state->zero = PyLong_FromLong(0);
    state->one = PyLong_FromLong(1);
    state->str_now = PyUnicode_InternFromString("_now");
    state->str_read = PyUnicode_InternFromString("_read");
    state->str_own = PyUnicode_InternFromString("_own");
    state->str_missing = PyUnicode_InternFromString("__missing__");
    state->str_getsizeof = PyUnicode_InternFromString("getsizeof");
    state->str_make_room = PyUnicode_InternFromString("_make_room");
    state->str_popitem_hooked = PyUnicode_InternFromString("_popitem_hooked");
    state->str_expire = PyUnicode_InternFromString("expire");
    state->str_pop = PyUnicode_InternFromString("pop");
    state->str_pop_hooked = PyUnicode_InternFromString("_pop_hooked");
    state->str_setdefault = PyUnicode_InternFromString("setdefault");
    state->str_dispatch = PyUnicode_InternFromString("_dispatch");
    state->str_call_for = PyUnicode_InternFromString("_call_for");
    state->str_load = PyUnicode_InternFromString("_load");
    state->str_load_for = PyUnicode_InternFromString("_load_for");
    state->str_direct = PyUnicode_InternFromString("direct");
    state->str_typed = PyUnicode_InternFromString("typed");
    state->no_links = PyTuple_New(0);
    state->blame = take_from("safemem.core._failures", "blame");
    state->failure = take_from("safemem.core._failures", "failure");
    state->remember = take_from("safemem.core._failures", "remember");
    state->str_admit = PyUnicode_InternFromString("admit");
    state->str_prune = PyUnicode_InternFromString("_prune");
    state->str_title = PyUnicode_InternFromString("title");
    state->str_of = PyUnicode_InternFromString("_of");
    state->measure_all = take_from("safemem.core._calls", "measure_all");
    state->str_react = PyUnicode_InternFromString("react");
    state->str_add = PyUnicode_InternFromString("_add");
    state->str_origin = PyUnicode_InternFromString("_origin");
    state->getweakrefs = take_from("_weakref", "getweakrefs");
    state->check_weakable = take_from("safemem.core._weakable", "check_weakable");
    state->is_unused = take_from("safemem.core._rooms", "is_unused");
    state->circle = take_from("safemem.core._kinwords", "circle");
    state->no_node = take_from("safemem.core._kinwords", "no_node");
    state->nothing = take_from("safemem.core._kinwords", "nothing");
    state->twice = take_from("safemem.core._kinwords", "twice");
    state->str_home = PyUnicode_InternFromString("_safemem_tree");
    state->str_node = PyUnicode_InternFromString("a tree node");
#define WAS_MADE(name) if (state->name == NULL) { return -1; }
    STATE_OBJECTS(WAS_MADE)
#undef WAS_MADE
    return 0;
}

static PyTypeObject *
make_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (type != NULL && spec != &walk_spec && spec != &ready_spec && spec != &mailbox_spec && spec != &kin_spec && PyModule_AddType(module, (PyTypeObject *)type) < 0) {
        Py_CLEAR(type);
    }
    return (PyTypeObject *)type;
}

static int
native_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (make_seed(state) < 0 || import_objects(state) < 0 || find_slots(state) < 0 || check_tuple_hash(state) < 0) {
        return -1;
    }
    state->lru_type = make_type(module, &lru_spec, NULL);
    state->ttl_type = state->lru_type == NULL ? NULL : make_type(module, &ttl_spec, state->lru_type);
    state->tlru_type = state->ttl_type == NULL ? NULL : make_type(module, &tlru_spec, state->ttl_type);
    state->weak_type = state->ttl_type == NULL ? NULL : make_type(module, &weak_spec, state->ttl_type);
    state->mailbox_type = make_type(module, &mailbox_spec, NULL);
    state->walk_type = make_type(module, &walk_spec, NULL);
    state->ready_type = make_type(module, &ready_spec, NULL);
    state->call_type = make_type(module, &call_spec, NULL);
    state->bound_type = make_type(module, &bound_spec, NULL);
    state->wrapper_type = make_type(module, &wrapper_spec, NULL);
    state->owners_set_type = make_type(module, &owners_set_spec, NULL);
    state->owners_dict_type = state->owners_set_type == NULL ? NULL : make_type(module, &owners_spec, state->owners_set_type);
    state->emission_type = make_type(module, &emission_spec, NULL);
    state->link_type = make_type(module, &link_spec, NULL);
    state->tree_type = make_type(module, &tree_spec, NULL);
    state->kin_type = make_type(module, &kin_spec, NULL);
    state->account_type = make_type(module, &account_spec, NULL);
#define WAS_MADE(name) if (state->name == NULL) { return -1; }
    STATE_TYPES(WAS_MADE)
#undef WAS_MADE
    return 0;
}

static int
native_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
#define VISIT(name) Py_VISIT(state->name);
    STATE_TYPES(VISIT)
    STATE_OBJECTS(VISIT)
#undef VISIT
    return 0;
}

static int
native_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
#define CLEAR(name) Py_CLEAR(state->name);
    STATE_TYPES(CLEAR)
    return 0;
}

static void
native_free(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    STATE_TYPES(CLEAR)
    STATE_OBJECTS(CLEAR)
#undef CLEAR
}

static PyModuleDef_Slot native_slots[] = {
    {Py_mod_exec, (void *)native_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safemem.core._native",
    .m_doc = "The core in C, see _pure.py for what it does.",
    .m_size = sizeof(State),
    .m_methods = native_functions,
    .m_slots = native_slots,
    .m_traverse = native_traverse,
    .m_clear = native_clear,
    .m_free = native_free,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
