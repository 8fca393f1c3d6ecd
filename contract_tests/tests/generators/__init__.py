"""Small applications that are written as the promise has it, for what their frameworks generate of them."""
