use std::any::Any;

/// Takes `value` as a `T` if that is what it is: the way by which a body that went through a
/// generic parameter is recognised.
pub(super) fn downcast<T: 'static, V: 'static>(value: V) -> Result<T, V> {
    let mut value = Some(value);
    match (&mut value as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take) {
        Some(found) => Ok(found),
        None => value.map_or_else(|| unreachable!("taken only where it was found"), Err),
    }
}
