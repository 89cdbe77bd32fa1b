"""What tests of all recipes share."""

from small_figures import small_figures as small_figures
