"""The member portal: the pages where members, points and rewards meet. A view asks one read or action and renders."""
