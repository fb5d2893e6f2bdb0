"""A doorkeeper: a load balancer that lets in only holders of a valid client certificate."""
