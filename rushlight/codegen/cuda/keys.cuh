// Keys: unsigned numbers whose order is that of the elements of a type, nan last. Elements that are equal have one key.

#include "elements.cuh"

template <class T> using Key = typename Unsigned<sizeof(T)>::type;

template <class T> struct Floating { static constexpr bool value = false; };
template <> struct Floating<f64> { static constexpr bool value = true; };
template <> struct Floating<f32> { static constexpr bool value = true; };
template <> struct Floating<bf16> { static constexpr bool value = true; };
template <> struct Floating<f16> { static constexpr bool value = true; };

template <class T> INLINE Key<T> sign_of() { return (Key<T>)((Key<T>)1 << (8 * sizeof(T) - 1)); }
template <class T> INLINE Key<T> last_key() { return (Key<T>)~(Key<T>)0; }   // of nans

template <class T> INLINE Key<T> key_of(T x) {
  const Key<T> sign = sign_of<T>();
  Key<T> bits = bits_as<Key<T>>(x);
  if constexpr (Floating<T>::value) {
    if (x != x) return last_key<T>();
    if (bits == sign) bits = 0;                        // -0 is 0
    return (Key<T>)(bits & sign ? ~bits : bits | sign);
  } else return (Key<T>)(Signed<T>::value ? bits ^ sign : bits);
}

// The element that has a key; false for the keys that several have, those of zeros and of nans.
template <class T> INLINE bool element_of(Key<T> key, T& element) {
  const Key<T> sign = sign_of<T>();
  if constexpr (Floating<T>::value) {
    if (key == sign || key == last_key<T>()) return false;
    element = bits_as<T>((Key<T>)(key & sign ? key ^ sign : ~key));
  } else element = bits_as<T>((Key<T>)(Signed<T>::value ? key ^ sign : key));
  return true;
}
