"""What recipes give: results with units and error bars, and the files, figures and pages made of them."""
